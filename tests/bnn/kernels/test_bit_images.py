"""Packed images and their convolution against sums of whole numbers."""
import numpy

from bnn.kernels import bit_images

SIZES = 1, 63, 64, 65, 127
# Size of the filter, stride, padding, dilation
GEOMETRIES = [
    ((1, 1), (1, 1), (0, 0), (1, 1)), ((3, 3), (1, 1), (1, 1), (1, 1)),
    ((5, 3), (2, 1), (2, 1), (1, 1)), ((2, 2), (1, 2), (1, 3), (3, 2))]


def draw(random, *shape):
    return random.choice([-1, 1], shape).astype(numpy.int16)


def test_convolution():
    for n_channels in SIZES:
        for geometry in GEOMETRIES:
            for pad_value in 0, 1:
                check(n_channels, pad_value, *geometry)


def check(n_channels, pad_value, ksize, stride, pad, dilate):
    random = numpy.random.RandomState(n_channels)
    W = draw(random, 130 - n_channels, n_channels, *ksize)
    x = draw(random, 3, n_channels, 7, 9)
    padded = numpy.pad(
        x, ((0, 0), (0, 0), *((p, p) for p in pad)),
        constant_values=pad_value).astype(numpy.float64)
    size = [(n - d * (k - 1) - 1) // t + 1 for n, k, t, d in zip(
        padded.shape[2:], ksize, stride, dilate, strict=True)]
    s = numpy.zeros((3, len(W), *size))
    for i, j in numpy.ndindex(*ksize):
        rows, columns = (
            slice(at * d, at * d + (n - 1) * t + 1, t) for at, d, n, t in zip(
                (i, j), dilate, size, stride, strict=True))
        s += numpy.einsum('ncyx,fc->nfyx', padded[:, :, rows, columns],
                          W[:, :, i, j])
    least = numpy.rint(numpy.median(s, axis=(0, 2, 3))).astype(numpy.int32)
    words = bit_images.pack_channels(
        x.astype(numpy.float32), numpy.zeros(n_channels, numpy.float32))
    options = W, stride, pad, dilate, pad_value, (7, 9)
    found = bit_images.BitConvolution(*options, thresholds=least)(words)
    assert (found == bit_images.pack_channels(
        s.astype(numpy.float32), least.astype(numpy.float32))).all()
    scale, offset = random.uniform(-1, 1, (2, len(W))).astype('f')
    numpy.testing.assert_allclose(
        bit_images.BitConvolution(*options, scale=scale, offset=offset)(words),
        s * scale[:, None, None] + offset[:, None, None], rtol=1e-5,
        atol=1e-3)


def test_channels():
    for n_channels in SIZES:
        x = numpy.random.uniform(-1, 1, (2, n_channels, 3, 5)).astype('f')
        limits = numpy.random.uniform(-1, 1, n_channels).astype('f')
        limits[0] = numpy.nan  # none reaches it
        words = bit_images.pack_channels(x, limits)
        assert words.shape == (2, 3, 5, -(-n_channels // 32))
        expected = numpy.where(x >= limits[:, None, None], 1, -1)
        assert (bit_images.unpack_channels(words, n_channels)
                == expected).all()
        vectors = bit_images.unpack_channels(words[:, 0, 0], n_channels)
        assert (vectors == expected[..., 0, 0]).all()
