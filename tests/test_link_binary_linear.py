"""The layer: parameters, laziness, serialization, training."""
import chainer
import chainer.functions as F
import numpy
import pytest

import link_binary_linear
import weight_clip
from tests.helpers import devices

BinaryLinear = link_binary_linear.BinaryLinear


def ones(*shape):
    return numpy.ones(shape, numpy.float32)


@devices.each
def test_forward(device):
    device = devices.get(device)
    W = numpy.random.uniform(-1, 1, (5, 6)).astype('f')
    W[0, 0] = 0
    b = numpy.random.uniform(-1, 1, 5).astype('f')
    for in_size in 6, None:
        for shape in (4, 6), (2, 1, 2, 3):
            x = numpy.random.uniform(-1, 1, shape).astype('f')
            expected = x.reshape(len(x), -1) @ numpy.where(W < 0, -1., 1.).T
            for nobias in True, False:
                link = BinaryLinear(
                    in_size, 5, nobias, W, None if nobias else b)
                link.to_device(device)
                y = link(device.send(x))
                assert y.dtype == numpy.float32
                numpy.testing.assert_allclose(
                    devices.to_cpu(y), expected + (0 if nobias else b),
                    rtol=1e-5, atol=1e-5)


def make(in_size, nobias, **kwargs):
    link = BinaryLinear(in_size, 200, nobias, **kwargs)
    if in_size is None:
        assert link.W.array is None
        link(ones(2, 300))
    assert link.in_size == 300
    assert link.W.shape == (200, 300)
    assert link.W.dtype == numpy.float32
    return link


def test_initializers():
    W = numpy.random.uniform(-1, 1, (200, 300)).astype(numpy.float32)
    b = numpy.arange(200, dtype=numpy.float32)
    for in_size in 300, None:
        for nobias in True, False:
            link = make(in_size, nobias)
            found = link.W.array.astype('d')
            # N(0, 1/in_size): five standard errors of mean and variance
            n = found.size
            assert abs(found.mean()) < 5 * (1 / 300 / n) ** .5
            assert abs(found.var() * 300 - 1) < 5 * (2 / n) ** .5
            assert (link.b is None) == nobias
            if not nobias:
                assert link.b.shape == (200,)
                assert link.b.dtype == numpy.float32
                assert (link.b.array == 0).all()
            for initialW, initial_bias in (.25, -2), (W, b):
                link = make(in_size, nobias, initialW=initialW,
                            initial_bias=initial_bias)
                assert (link.W.array == initialW).all()
                assert nobias or (link.b.array == initial_bias).all()


def test_parameters():
    assert {n for n, _ in BinaryLinear(3, 2).namedparams()} == {'/W', '/b'}
    assert [n for n, _ in BinaryLinear(3, 2, nobias=True).namedparams()] == [
        '/W']
    assert BinaryLinear(3, 2).w_bits == 1


def test_lazy():
    link = BinaryLinear(None, 5)
    assert link(ones(2, 3, 4, 5)).shape == (2, 5)
    assert link.W.shape == (5, 60)
    assert link.in_size == 60
    with pytest.raises(chainer.utils.type_check.InvalidType):
        link(ones(2, 59))
    link = BinaryLinear(None, 5)
    assert link(ones(0, 3, 4)).shape == (0, 5)
    assert link.W.shape == (5, 12)


def test_lazy_weights_are_trained():
    link = BinaryLinear(None, 2, initialW=.5)
    optimizer = chainer.optimizers.SGD(lr=1).setup(link)
    optimizer.add_hook(weight_clip.WeightClip())
    optimizer.update(lambda: F.sum(link(ones(1, 3))))
    numpy.testing.assert_array_equal(link.W.array, numpy.full((2, 3), -.5))
    optimizer.update(lambda: F.sum(link(ones(1, 3))))
    numpy.testing.assert_array_equal(link.W.array, numpy.full((2, 3), -1))


def test_wrong_sizes():
    for sizes in (0, 5), (-1, 5), (3, 0), (3, -2), (None, 0), (None, -1):
        with pytest.raises(ValueError, match='positive') as e:
            BinaryLinear(*sizes)
        for size in sizes:
            assert str(size) in str(e.value)


def test_config_dtype():
    for dtype in numpy.float16, numpy.float64:
        with chainer.using_config('dtype', dtype):
            link = BinaryLinear(3, 2)
            y = link(numpy.ones((4, 3), dtype))
        assert link.W.dtype == link.b.dtype == y.dtype == dtype


def test_serialization(tmp_path):
    path = str(tmp_path / 'link.npz')
    for nobias in True, False:
        for in_size in 6, None:
            link = BinaryLinear(
                6, 5, nobias, initial_bias=None if nobias else 3)
            chainer.serializers.save_npz(path, link)
            other = BinaryLinear(in_size, 5, nobias)
            chainer.serializers.load_npz(path, other)
            x = numpy.random.uniform(-1, 1, (2, 6)).astype('f')
            numpy.testing.assert_array_equal(other.W.array, link.W.array)
            numpy.testing.assert_array_equal(other(x).array, link(x).array)
            assert nobias or (other.b.array == 3).all()
    chainer.serializers.save_npz(path, BinaryLinear(None, 5))
    other = BinaryLinear(None, 5)
    chainer.serializers.load_npz(path, other)
    assert other.W.array is None
    assert other(ones(2, 6)).shape == (2, 5)


def test_copy():
    link = BinaryLinear(3, 2)
    for mode in 'copy', 'init', 'share':
        other = link.copy(mode=mode)
        assert other.W is not link.W
        assert (other.W.array is link.W.array) == (mode == 'share')
        same = numpy.array_equal(other.W.array, link.W.array)
        assert same == (mode != 'init')


@devices.each
def test_to_device(device):
    device = devices.get(device)
    for in_size in 3, None:
        link = BinaryLinear(in_size, 2)
        link.to_device(device)
        y = link(device.send(ones(2, 3)))
        for array in link.W.array, link.b.array, y.array:
            assert isinstance(array, device.supported_array_types)
        link.to_device('@numpy')
        assert isinstance(link.W.array, numpy.ndarray)


def test_printable_specs():
    assert dict(BinaryLinear(3, 2, nobias=True).printable_specs) == {
        'in_size': 3, 'out_size': 2, 'nobias': True}
    assert 'in_size=3' in str(chainer.Sequential(BinaryLinear(3, 2)))


def test_training():
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
