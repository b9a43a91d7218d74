"""Packed images of signs."""
import numpy
import pytest

from bnn.kernels import reference
from bnn.kernels import sign_images


@pytest.mark.parametrize('n_channels', [1, 3, 31, 32, 33, 96])
@pytest.mark.parametrize('step', [1, 2, 50])
def test_unpack_pairs(n_channels, step):
    """Words of two pixels, and at most 31 words more are written."""
    x = numpy.random.randint(-1, 2, (1, n_channels, 5, 7)).astype('f') * 1.5
    packed = sign_images.pack(x, (0, 0))
    pairs = numpy.full(35 * n_channels + 40, 7, numpy.uint32)
    sign_images.unpack_pairs(packed.words[0], n_channels, 35, step,
                             numpy.float32(1.5), pairs)
    assert (pairs[35 * n_channels + 31:] == 7).all()
    words = pairs[:35 * n_channels].reshape(35, n_channels)
    pixels = x[0].reshape(n_channels, 35).T
    low, high = words << numpy.uint32(16), words & numpy.uint32(0xFFFF0000)
    numpy.testing.assert_array_equal(low.view('f'), pixels)
    n_there = max(35 - step, 0)
    numpy.testing.assert_array_equal(high.view('f')[:n_there], pixels[step:])


@pytest.mark.parametrize('pad', [(0, 0), (1, 0), (2, 3)])
def test_pack(pad):
    """A bit for each channel of a pixel; the padding is 0."""
    for n_channels in 1, 32, 45:
        x = reference.binarize(numpy.random.standard_normal(
            (2, n_channels, 4, 5))).astype('f')
        packed = sign_images.pack(x, pad)
        padded = numpy.pad(x, ((0, 0), (0, 0), *((p, p) for p in pad)))
        size = padded[0, 0].size
        for c in range(n_channels):
            words = packed.words[:, :, c // 32 * size:(c // 32 + 1) * size]
            bits = words >> numpy.uint32(c % 32) & numpy.uint32(1)
            plane = padded[:, c].reshape(2, -1)
            numpy.testing.assert_array_equal(bits[:, 0], plane > 0)
            numpy.testing.assert_array_equal(bits[:, 1], plane != 0)
        assert packed.has_zeros == (max(pad) > 0)
        x[1, -1, -1, -1] = 0
        assert sign_images.pack(x, pad).has_zeros
