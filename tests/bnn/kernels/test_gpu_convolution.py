"""Convolutions of bytes, run on the CPU, against plain sums."""
import numpy
import pytest

from bnn.deploy import operations
from bnn.deploy import reference


def draw(*shape):
    return numpy.random.choice([-1, 1], shape).astype(numpy.int8)


GEOMETRIES = [
    ((1, 1), (1, 1), (0, 0), (1, 1)), ((3, 3), (1, 1), (1, 1), (1, 1)),
    ((5, 3), (2, 1), (2, 1), (1, 1)), ((2, 2), (1, 2), (1, 3), (3, 2))]


@pytest.mark.parametrize('of_pixels', [False, True])
@pytest.mark.parametrize('pad_value', [0, 1])
@pytest.mark.parametrize('n_channels, n_filters', [
    (1, 10), (3, 130), (16, 65), (40, 7)])
@pytest.mark.parametrize('ksize, stride, pad, dilate', GEOMETRIES)
def test_convolution(ksize, stride, pad, dilate, n_channels, n_filters,
                     pad_value, of_pixels, gpu):
    from bnn.kernels import gpu_convolution
    W = draw(n_filters, n_channels, *ksize)
    x = numpy.random.randint(0, 256, (3, n_channels, 7, 9)).astype(
        numpy.uint8) if of_pixels else draw(3, n_channels, 7, 9)
    s = reference.convolve(
        reference.padded(x.astype(int), pad, pad_value), W.astype(int),
        stride, dilate, 1)
    limits = numpy.rint(numpy.median(s, axis=(0, 2, 3))).astype('i4')
    limits[0] = -2 ** 31
    options = W, stride, pad, dilate, pad_value, (7, 9), s.shape[2:]
    there = gpu_convolution.to_bytes(
        gpu.send(x if of_pixels else x.astype('f')), x.dtype)
    assert there.dtype == x.dtype
    assert there.shape == (3, 7, 9, -(-n_channels // 16) * 16)
    bits = gpu_convolution.BitConvolution(
        *options, limits, of_pixels=of_pixels)(there)
    assert bits.dtype == numpy.int8
    floats = gpu.fetch(gpu_convolution.to_floats(bits, n_filters))
    assert floats.dtype == numpy.float32
    numpy.testing.assert_array_equal(floats, numpy.where(
        s >= limits[:, None, None], 1, -1))
    scale, offset = numpy.random.uniform(-1, 1, (2, n_filters)).astype('f')
    floats = gpu.fetch(gpu_convolution.BitConvolution(
        *options, None, scale, offset, of_pixels)(there))
    assert floats.dtype == numpy.float32
    numpy.testing.assert_array_equal(
        floats, s.astype('f') * scale[:, None, None] + offset[:, None, None])


@pytest.mark.parametrize('ksize, stride, pad', [
    ((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (1, 1)),
    ((3, 2), (1, 3), (0, 1))])
@pytest.mark.parametrize('cover_all', [False, True])
@pytest.mark.parametrize('n_channels', [1, 40])
def test_pooling(ksize, stride, pad, cover_all, n_channels, gpu):
    from bnn.kernels import gpu_convolution
    x = draw(3, n_channels, 7, 10)
    turn = numpy.random.choice([-1, 1], n_channels)[:, None, None]
    pool = operations.MaxPooling2D(
        ksize=ksize, stride=stride, pad=pad, cover_all=cover_all)
    # A window that sees nothing has none: the packed net takes the least.
    expected = turn * numpy.maximum(reference.apply(
        pool, (turn * x).astype('f'), numpy.float32), -1)
    there = gpu_convolution.to_bytes(gpu.send(x))
    found = gpu_convolution.SignPooling(
        ksize, stride, pad, expected.shape[2:], turn.ravel() < 0)(there)
    numpy.testing.assert_array_equal(gpu.fetch(
        gpu_convolution.to_floats(found, n_channels)), expected)


def test_flattened_weights(gpu):
    from bnn.kernels import gpu_convolution
    x, W = draw(2, 5, 3, 4), draw(7, 60)
    flat = gpu.fetch(gpu_convolution.to_bytes(gpu.send(x))).reshape(2, -1)
    turned = gpu_convolution.linear_weights(W, (5, 3, 4))
    assert (flat.astype(int) @ turned.T == x.reshape(2, -1).astype(
        int) @ W.T).all()
