"""The layer: parameters, laziness, serialization, what it passes on."""
import unittest

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import testing

import weight_clip
from zoo.binarynet import function_binary_convolution_2d
from zoo.binarynet import link_binary_convolution_2d

BinaryConvolution2D = link_binary_convolution_2d.BinaryConvolution2D


def random(*shape):
    return numpy.random.uniform(-1, 1, shape).astype(numpy.float32)


@testing.parameterize(*testing.product({
    'in_channels': [4, None],
    'nobias': [True, False],
    'options': [
        {},
        {'stride': 2, 'pad': 1},
        {'stride': (1, 2), 'pad': (2, 0), 'groups': 2},
        {'dilate': 2, 'scaled': True, 'groups': 2},
    ],
}))
@testing.inject_backend_tests(None, [{}, {'use_cuda': True}])
class TestBinaryConvolution2D(testing.LinkTestCase):

    # The weight's gradient is the estimator, not the numerical one.
    skip_backward_test = True

    @property
    def param_names(self):
        return ('W',) if self.nobias else ('W', 'b')

    def generate_params(self):
        W = random(6, 4 // self.options.get('groups', 1), 3, 2)
        W[0, 0, 0, 0] = 0
        return (W,) if self.nobias else (W, random(6))

    def generate_inputs(self):
        return random(2, 4, 7, 6),

    def create_link(self, initializers):
        return BinaryConvolution2D(
            self.in_channels, 6, (3, 2), nobias=self.nobias,
            initialW=initializers[0],
            initial_bias=None if self.nobias else initializers[1],
            **self.options)

    def forward_expected(self, link, inputs):
        W = link.W.array
        binary = numpy.where(W < 0, -1, 1).astype(W.dtype)
        options = dict(self.options)
        if options.pop('scaled', False):
            binary *= abs(W).mean(axis=(1, 2, 3), keepdims=True)
        y = F.convolution_2d(
            inputs[0], binary, None if self.nobias else link.b.array,
            **options)
        return y.array,


@pytest.mark.parametrize('in_channels', [3, None])
@pytest.mark.parametrize('nobias', [True, False])
def test_initializers(in_channels, nobias):
    def make(**kwargs):
        link = BinaryConvolution2D(
            in_channels, 100, 5, nobias=nobias, **kwargs)
        if in_channels is None:
            assert link.W.array is None
            link(random(1, 3, 5, 5))
        assert link.W.shape == (100, 3, 5, 5)
        assert link.W.dtype == numpy.float32
        return link

    link = make()
    W = link.W.array.astype('d')
    # N(0, 1/fan_in): five standard errors of the mean and the variance.
    assert abs(W.mean()) < 5 * (1 / 75 / W.size) ** .5
    assert abs(W.var() * 75 - 1) < 5 * (2 / W.size) ** .5
    assert (link.b is None) == nobias
    assert (make(initialW=.25).W.array == .25).all()
    if not nobias:
        assert link.b.shape == (100,)
        assert link.b.dtype == numpy.float32
        assert (link.b.array == 0).all()
        assert (make(initial_bias=-2).b.array == -2).all()
        b = numpy.arange(100, dtype=numpy.float32)
        numpy.testing.assert_array_equal(make(initial_bias=b).b.array, b)


def test_names_of_parameters():
    link = BinaryConvolution2D(3, 2, 3)
    assert sorted(n for n, _ in link.namedparams()) == ['/W', '/b']
    link = BinaryConvolution2D(3, 2, 3, nobias=True)
    assert [n for n, _ in link.namedparams()] == ['/W']
    assert link.w_bits == 1


def test_attributes():
    link = BinaryConvolution2D(4, 6, 3, groups=2)
    assert link.W.shape == (6, 2, 3, 3)
    assert link.ksize == (3, 3)
    assert BinaryConvolution2D(4, 6, (3, 2)).W.shape == (6, 4, 3, 2)
    assert not link.scaled
    assert BinaryConvolution2D(4, 6, 3, scaled=True).scaled


def test_positional_arguments_are_those_of_chainer():
    x = random(2, 4, 7, 7)
    arguments = (4, 6, 3, 2, 1, True)
    binary, plain = BinaryConvolution2D(*arguments), L.Convolution2D(
        *arguments)
    assert binary.b is plain.b is None
    assert binary(x).shape == plain(x).shape == (2, 6, 4, 4)


def test_lazy():
    link = BinaryConvolution2D(None, 6, (3, 2), groups=2)
    assert link(random(2, 4, 7, 6)).shape == (2, 6, 5, 5)
    assert link.W.shape == (6, 2, 3, 2)
    W = link.W.array
    link(random(1, 4, 3, 2))
    assert link.W.array is W
    with pytest.raises(chainer.utils.type_check.InvalidType):
        link(random(2, 6, 7, 6))


def test_lazy_empty_batch():
    link = BinaryConvolution2D(None, 6, 3)
    assert link(random(0, 4, 5, 6)).shape == (0, 6, 3, 4)
    assert link.W.shape == (6, 4, 3, 3)


@pytest.mark.parametrize('channels,groups', [
    ((3, 4), 2), ((4, 3), 2), ((4, 6), 3), ((1, 1), 2)])
def test_groups_that_do_not_divide(channels, groups):
    match = 'groups=%d does not divide the channels, %d and %d' % (
        groups, *channels)
    with pytest.raises(ValueError, match=match):
        BinaryConvolution2D(*channels, 3, groups=groups)
    link = BinaryConvolution2D(None, channels[1], 3, groups=groups)
    with pytest.raises(ValueError, match=match):
        link(random(2, channels[0], 5, 5))
    assert link.W.array is None


@pytest.mark.parametrize('name,value', [
    ('stride', 2), ('stride', (1, 2)), ('pad', 1), ('pad', (0, 2)),
    ('dilate', 2), ('groups', 2), ('pad_value', 1), ('scaled', True),
    ('stochastic', True)])
def test_passes_its_options_on(name, value, monkeypatch):
    calls = []
    monkeypatch.setattr(
        function_binary_convolution_2d, 'binary_convolution_2d',
        lambda *args, **kwargs: calls.append((args, kwargs)))
    link = BinaryConvolution2D(2, 4, 3, **{name: value})
    x = random(1, 2, 5, 5)
    link(x)
    ((x_, W, b), options), = calls
    assert x_ is x
    assert W is link.W
    assert b is link.b
    assert options == {
        'stride': 1, 'pad': 0, 'dilate': 1, 'groups': 1, 'pad_value': 0,
        'scaled': False, 'stochastic': False, name: value}


def test_pad_value():
    x, W = numpy.ones((1, 1, 1, 1), 'f'), numpy.ones((1, 1, 3, 3), 'f')
    for pad_value, expected in (0, 1), (1, 9):
        link = BinaryConvolution2D(
            1, 1, 3, pad=1, initialW=W, pad_value=pad_value)
        assert link(x).array.item() == expected


def test_stochastic_only_in_training():
    link = BinaryConvolution2D(1, 400, 1, initialW=0, stochastic=True)
    x = numpy.ones((1, 1, 1, 1), numpy.float32)
    with chainer.using_config('train', False):
        assert (link(x).array == 1).all()
    with chainer.using_config('train', True):
        assert set(link(x).array.ravel()) == {-1, 1}


@pytest.mark.parametrize('scaled', [False, True])
def test_forward_changes_no_weight(scaled):
    link = BinaryConvolution2D(2, 4, 3, initialW=3, scaled=scaled)
    link.W.array[...] = 3 * random(4, 2, 3, 3)
    before = link.W.array.copy()
    for train in True, False:
        with chainer.using_config('train', train):
            F.sum(link(random(2, 2, 5, 5))).backward()
    numpy.testing.assert_array_equal(link.W.array, before)


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float64])
@pytest.mark.parametrize('scaled', [False, True])
def test_config_dtype(dtype, scaled):
    with chainer.using_config('dtype', dtype):
        link = BinaryConvolution2D(2, 4, 3, scaled=scaled)
        assert link.W.dtype == link.b.dtype == dtype
        y = link(random(1, 2, 5, 5).astype(dtype))
    assert y.dtype == dtype


@pytest.mark.parametrize('nobias', [True, False])
@pytest.mark.parametrize('lazy', [True, False])
@pytest.mark.parametrize('groups', [1, 2])
def test_serialization(nobias, lazy, groups, tmp_path):
    def make(in_channels, **kwargs):
        return BinaryConvolution2D(
            in_channels, 6, (3, 2), nobias=nobias, groups=groups, **kwargs)

    link = make(4, initial_bias=None if nobias else 3)
    path = str(tmp_path / 'link.npz')
    chainer.serializers.save_npz(path, link)
    other = make(None if lazy else 4)
    chainer.serializers.load_npz(path, other)
    numpy.testing.assert_array_equal(other.W.array, link.W.array)
    x = random(2, 4, 7, 6)
    numpy.testing.assert_array_equal(other(x).array, link(x).array)
    if not nobias:
        assert (other.b.array == 3).all()


def test_serialization_of_uninitialized(tmp_path):
    path = str(tmp_path / 'link.npz')
    chainer.serializers.save_npz(path, BinaryConvolution2D(None, 5, 3))
    other = BinaryConvolution2D(None, 5, 3)
    chainer.serializers.load_npz(path, other)
    assert other.W.array is None
    assert other(random(2, 3, 4, 4)).shape == (2, 5, 2, 2)


@pytest.mark.parametrize('mode', ['copy', 'init', 'share'])
def test_copy(mode):
    link = BinaryConvolution2D(3, 2, 3, pad=1, scaled=True)
    other = link.copy(mode=mode)
    assert other.W is not link.W
    assert (other.W.array is link.W.array) == (mode == 'share')
    same = numpy.array_equal(other.W.array, link.W.array)
    assert same == (mode != 'init')
    assert dict(other.printable_specs) == dict(link.printable_specs)


@testing.parameterize(*testing.product({
    'in_channels': [3, None], 'scaled': [False, True], 'pad_value': [0, 1]}))
@testing.inject_backend_tests(['test_to_device'], [{}, {'use_cuda': True}])
class TestToDevice(unittest.TestCase):

    def test_to_device(self, backend_config):
        link = BinaryConvolution2D(
            self.in_channels, 2, 3, pad=1, scaled=self.scaled,
            pad_value=self.pad_value)
        device = backend_config.device
        link.to_device(device)
        x = random(2, 3, 4, 5)
        y = link(device.send(x))
        F.sum(y).backward()
        for array in (link.W.array, link.W.grad, link.b.array, y.array):
            assert isinstance(array, device.supported_array_types)
        link.to_device('@numpy')
        assert isinstance(link.W.array, numpy.ndarray)
        numpy.testing.assert_allclose(
            link(x).array, chainer.get_device('@numpy').send(y.array),
            rtol=1e-5, atol=1e-5)


def test_printable_specs():
    link = BinaryConvolution2D(
        3, 4, (3, 2), 2, (1, 0), nobias=True, pad_value=1)
    assert dict(link.printable_specs) == {
        'out_channels': 4, 'ksize': (3, 2), 'stride': 2, 'pad': (1, 0),
        'dilate': 1, 'groups': 1, 'pad_value': 1, 'scaled': False,
        'stochastic': False, 'nobias': True}
    assert 'ksize=(3, 2)' in str(chainer.Sequential(link))


@pytest.mark.parametrize('scaled', [False, True])
def test_training(scaled):
    numpy.random.seed(0)
    teacher = BinaryConvolution2D(2, 4, 3, scaled=scaled)
    x = random(40, 2, 6, 6)
    t = F.average_pooling_2d(teacher(x), 4).array.reshape(40, 4).argmax(
        axis=1).astype(numpy.int32)
    link = BinaryConvolution2D(2, 4, 3, scaled=scaled)
    optimizer = chainer.optimizers.Adam(alpha=.03).setup(link)
    weight_clip.clip_weights(link)
    assert weight_clip.unbounded_weights(optimizer) == []
    losses = []

    def loss():
        y = F.average_pooling_2d(link(x), 4).reshape(40, 4)
        return F.softmax_cross_entropy(4 * y, t)

    for _ in range(40):
        optimizer.update(loss)
        losses.append(float(loss().array))
        assert abs(link.W.array).max() <= 1
    assert min(losses[-5:]) < .7 * losses[0]


testing.run_module(__name__, __file__)
