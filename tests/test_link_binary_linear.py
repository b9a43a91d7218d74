"""The layer: parameters, laziness, serialization, training."""
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import testing

import link_binary_linear
import weight_clip

BinaryLinear = link_binary_linear.BinaryLinear


@testing.parameterize(*testing.product({
    'in_size': [6, None],
    'shape': [(4, 6), (2, 1, 2, 3)],
    'nobias': [True, False],
}))
@testing.inject_backend_tests(None, [{}, {'use_cuda': True}])
class TestBinaryLinear(testing.LinkTestCase):

    # The weight's gradient is the estimator, not the numerical one.
    skip_backward_test = True

    @property
    def param_names(self):
        return ('W',) if self.nobias else ('W', 'b')

    def generate_params(self):
        W = numpy.random.uniform(-1, 1, (5, 6)).astype(numpy.float32)
        W[0, 0] = 0
        if self.nobias:
            return W,
        return W, numpy.random.uniform(-1, 1, 5).astype(numpy.float32)

    def generate_inputs(self):
        return numpy.random.uniform(-1, 1, self.shape).astype(
            numpy.float32),

    def create_link(self, initializers):
        return BinaryLinear(
            self.in_size, 5, self.nobias, initializers[0],
            None if self.nobias else initializers[1])

    def forward_expected(self, link, inputs):
        x, = inputs
        y = x.reshape(len(x), -1).astype('d').dot(
            numpy.where(link.W.array < 0, -1., 1.).T)
        if not self.nobias:
            y += link.b.array
        return y.astype(x.dtype),


@testing.parameterize(*testing.product({
    'in_size': [300, None], 'nobias': [True, False]}))
class TestInitializers(unittest.TestCase):

    def make(self, **kwargs):
        link = BinaryLinear(self.in_size, 200, self.nobias, **kwargs)
        if self.in_size is None:
            assert link.W.array is None
            link(numpy.zeros((2, 300), numpy.float32))
        assert link.in_size == 300
        assert link.W.shape == (200, 300)
        assert link.W.dtype == numpy.float32
        return link

    def test_default(self):
        W = self.make().W.array.astype('d')
        n = W.size
        # N(0, 1/in_size): five standard errors of the mean and variance.
        assert abs(W.mean()) < 5 * (1 / 300 / n) ** .5
        assert abs(W.var() * 300 - 1) < 5 * (2 / n) ** .5

    def test_default_bias(self):
        link = self.make()
        if self.nobias:
            assert link.b is None
        else:
            assert link.b.shape == (200,)
            assert link.b.dtype == numpy.float32
            assert (link.b.array == 0).all()

    def test_given(self):
        link = self.make(initialW=.25, initial_bias=-2)
        assert (link.W.array == .25).all()
        if not self.nobias:
            assert (link.b.array == -2).all()

    def test_array(self):
        W = numpy.random.uniform(-1, 1, (200, 300)).astype(numpy.float32)
        b = numpy.arange(200, dtype=numpy.float32)
        link = self.make(initialW=W, initial_bias=b)
        numpy.testing.assert_array_equal(link.W.array, W)
        if not self.nobias:
            numpy.testing.assert_array_equal(link.b.array, b)


def test_names_of_parameters():
    assert [n for n, _ in sorted(BinaryLinear(3, 2).namedparams())] == [
        '/W', '/b']
    assert [n for n, _ in BinaryLinear(3, 2, nobias=True).namedparams()] == [
        '/W']


def test_lazy_image():
    link = BinaryLinear(None, 5)
    y = link(numpy.ones((2, 3, 4, 5), numpy.float32))
    assert link.W.shape == (5, 60)
    assert link.in_size == 60
    assert y.shape == (2, 5)
    with pytest.raises(chainer.utils.type_check.InvalidType):
        link(numpy.ones((2, 59), numpy.float32))


def test_lazy_empty_batch():
    link = BinaryLinear(None, 5)
    assert link(numpy.ones((0, 3, 4), numpy.float32)).shape == (0, 5)
    assert link.W.shape == (5, 12)


@pytest.mark.parametrize('sizes', [
    (0, 5), (-1, 5), (3, 0), (3, -2), (None, 0), (None, -1)])
def test_wrong_sizes(sizes):
    with pytest.raises(ValueError, match='positive'):
        BinaryLinear(*sizes)


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float64])
def test_config_dtype(dtype):
    with chainer.using_config('dtype', dtype):
        link = BinaryLinear(3, 2)
        assert link.W.dtype == dtype
        assert link.b.dtype == dtype
        y = link(numpy.ones((4, 3), dtype))
    assert y.dtype == dtype


@pytest.mark.parametrize('nobias', [True, False])
@pytest.mark.parametrize('lazy', [True, False])
def test_serialization(nobias, lazy, tmp_path):
    link = BinaryLinear(6, 5, nobias, initial_bias=None if nobias else 3)
    path = str(tmp_path / 'link.npz')
    chainer.serializers.save_npz(path, link)
    other = BinaryLinear(None if lazy else 6, 5, nobias)
    chainer.serializers.load_npz(path, other)
    numpy.testing.assert_array_equal(other.W.array, link.W.array)
    x = numpy.random.uniform(-1, 1, (2, 6)).astype(numpy.float32)
    numpy.testing.assert_array_equal(other(x).array, link(x).array)
    if not nobias:
        assert (other.b.array == 3).all()


def test_serialization_of_uninitialized(tmp_path):
    path = str(tmp_path / 'link.npz')
    chainer.serializers.save_npz(path, BinaryLinear(None, 5))
    other = BinaryLinear(None, 5)
    chainer.serializers.load_npz(path, other)
    assert other.W.array is None
    assert other(numpy.ones((2, 6), numpy.float32)).shape == (2, 5)


@pytest.mark.parametrize('mode', ['copy', 'init', 'share'])
def test_copy(mode):
    link = BinaryLinear(3, 2)
    other = link.copy(mode=mode)
    assert other.W is not link.W
    assert (other.W.array is link.W.array) == (mode == 'share')
    same = numpy.array_equal(other.W.array, link.W.array)
    assert same == (mode != 'init')


@testing.inject_backend_tests(
    ['test_to_device', 'test_to_device_before_first_input'],
    [{}, {'use_cuda': True}])
class TestToDevice(unittest.TestCase):

    def check(self, link, backend_config):
        device = backend_config.device
        link.to_device(device)
        y = link(device.send(numpy.ones((2, 3), numpy.float32)))
        for array in (link.W.array, link.b.array, y.array):
            assert isinstance(array, device.supported_array_types)
        link.to_device('@numpy')
        assert isinstance(link.W.array, numpy.ndarray)

    def test_to_device(self, backend_config):
        self.check(BinaryLinear(3, 2), backend_config)

    def test_to_device_before_first_input(self, backend_config):
        self.check(BinaryLinear(None, 2), backend_config)


def test_printable_specs():
    assert dict(BinaryLinear(3, 2, nobias=True).printable_specs) == {
        'in_size': 3, 'out_size': 2, 'nobias': True, 'stochastic': False,
        'scaled': False}
    chain = chainer.Sequential(BinaryLinear(3, 2))
    assert 'in_size=3' in str(chain)


@pytest.mark.parametrize('nobias', [True, False])
@pytest.mark.parametrize('in_size', [6, None])
def test_scaled(in_size, nobias):
    link = BinaryLinear(in_size, 5, nobias, initial_bias=None if nobias else 3,
                        scaled=True)
    assert link.scaled
    assert not BinaryLinear(in_size, 5).scaled
    x = numpy.random.uniform(-1, 1, (4, 1, 2, 3)).astype(numpy.float32)
    y = link(x).array
    W = link.W.array.astype('d')
    scaled = numpy.where(W < 0, -1, 1) * abs(W).mean(axis=1, keepdims=True)
    numpy.testing.assert_allclose(
        y, x.reshape(4, 6) @ scaled.T + (0 if nobias else 3),
        rtol=1e-5, atol=1e-5)


def test_training():
    numpy.random.seed(0)
    teacher = numpy.where(numpy.random.randn(4, 20) < 0, -1, 1)
    x = numpy.random.randn(200, 20).astype(numpy.float32)
    t = (x @ teacher.T).argmax(axis=1).astype(numpy.int32)
    link = BinaryLinear(20, 4)
    optimizer = chainer.optimizers.Adam(alpha=.03).setup(link)
    optimizer.add_hook(weight_clip.WeightClip())
    losses = []
    for _ in range(60):
        optimizer.update(lambda: F.softmax_cross_entropy(link(x), t))
        losses.append(float(F.softmax_cross_entropy(link(x), t).array))
        assert abs(link.W.array).max() <= 1
    assert losses[-1] < .3 * losses[0]


testing.run_module(__name__, __file__)
