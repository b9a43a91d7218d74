"""Perceptrons and convolutions on bits against sums of whole numbers."""
import numba
import numpy
import pytest

from bnn import kernels
from bnn.kernels import reference
from bnn.kernels import threshold_tiles

SIZES = (1, 63, 64, 65, 127)


def draw(random, *shape):
    return random.choice([-1, 1], shape).astype(numpy.int16)


def pack(signs):
    return kernels.pack(signs.astype(numpy.float32))


@pytest.mark.parametrize('kind', ('bits', 'pixels', 'signs of pixels'))
@pytest.mark.parametrize('sizes', [
    *((n, 70, n) for n in SIZES), (40, 1, 63), (784, 100, 65, 10)])
def test_perceptron(sizes, kind):
    of_pixels, of_signs = kind == 'pixels', kind == 'signs of pixels'
    random = numpy.random.RandomState(sum(sizes))
    weights = [draw(random, o, i)
               for i, o in zip(sizes[:-1], sizes[1:], strict=True)]
    for n in (1, 3, 6, 47, 101):
        if of_pixels:
            x = random.randint(0, 256, (n, sizes[0])).astype(numpy.uint8)
            h, operand = x.astype(int), x
        elif of_signs:
            operand = random.choice(
                [0, 1, 127, 128, 254, 255], (n, sizes[0])).astype(numpy.uint8)
            h = numpy.where(operand < 128, -1, 1)
        else:
            h = draw(random, n, sizes[0])
            operand = pack(h)
        limits = []
        for layer, W in enumerate(weights):
            s = h @ W.T.astype(int)
            least = numpy.rint(numpy.median(s, axis=0)).astype(numpy.int64)
            if of_pixels and layer == 0:
                dot = W.astype(numpy.int8), least.astype(numpy.int32)
                limits.append(255 * (W > 0).sum(axis=1) - least)
            else:
                limits.append((W.shape[1] - least) // 2)
            h = numpy.where(s >= least, 1, -1)
        limits = [limit.astype(numpy.int32) for limit in limits]
        bits = [pack(W) for W in weights]
        scale, offset = random.uniform(-1, 1, (2, sizes[-1])).astype('f')
        # With the int8 products, where the processor has them, and without
        for dots in (dot, None) if of_pixels else (None,):
            whole = kernels.Perceptron(
                bits, limits, sizes[:-1], of_pixels=of_pixels, dot=dots,
                of_signs=of_signs)
            assert (whole(operand) == reference.pack(
                h.astype(numpy.float32))).all()
            if len(weights) > 1:
                floats = kernels.Perceptron(
                    bits, [*limits[:-1], None], sizes[:-1], scale, offset,
                    of_pixels, dots, of_signs)
                numpy.testing.assert_allclose(
                    floats(operand), s * scale + offset, rtol=1e-5,
                    atol=1e-4)


def test_perceptron_without_images():
    perceptron = kernels.Perceptron(
        [pack(draw(numpy.random, 5, 40))], [None], [40],
        numpy.ones(5, 'f'), numpy.ones(5, 'f'))
    assert perceptron(numpy.empty((0, 2), numpy.uint32)).shape == (0, 5)


@pytest.mark.parametrize('threads', (1, 2))
def test_threads_agree(threads):
    if threads > numba.config.NUMBA_NUM_THREADS:
        pytest.skip('one thread only')
    random = numpy.random.RandomState(0)
    W = draw(random, 1000, 784)
    x = random.randint(0, 256, (500, 784)).astype(numpy.uint8)
    s = x.astype(int) @ W.T
    least = numpy.rint(numpy.median(s, axis=0)).astype(numpy.int32)
    perceptron = kernels.Perceptron(
        [pack(W)], [(255 * (W > 0).sum(axis=1) - least).astype('i4')], [784],
        of_pixels=True, dot=(W.astype(numpy.int8), least))
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        assert (perceptron(x) == reference.pack(
            numpy.where(s >= least, 1., -1.))).all()
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize('n_channels', SIZES)
@pytest.mark.parametrize('pad_value', (0, 1))
@pytest.mark.parametrize('ksize, stride, pad, dilate', [
    ((1, 1), (1, 1), (0, 0), (1, 1)), ((3, 3), (1, 1), (1, 1), (1, 1)),
    ((5, 3), (2, 1), (2, 1), (1, 1)), ((2, 2), (1, 2), (1, 3), (3, 2))])
def test_convolution(n_channels, pad_value, ksize, stride, pad, dilate):
    random = numpy.random.RandomState(n_channels)
    W = draw(random, 130 - n_channels, n_channels, *ksize)
    x = draw(random, 3, n_channels, 7, 9)
    padded = numpy.pad(
        x, ((0, 0), (0, 0), *((p, p) for p in pad)),
        constant_values=pad_value).astype(numpy.float64)
    s = numpy.zeros(1)
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
    words = kernels.pack_channels(
        x.astype(numpy.float32), numpy.zeros(n_channels, numpy.float32))
    options = W, stride, pad, dilate, pad_value, (7, 9)
    bits = kernels.BitConvolution(*options, thresholds=least)(words)
    assert (bits == kernels.pack_channels(
        s.astype(numpy.float32), least.astype(numpy.float32))).all()
    scale, offset = random.uniform(-1, 1, (2, len(W))).astype('f')
    numpy.testing.assert_allclose(
        kernels.BitConvolution(*options, scale=scale, offset=offset)(words),
        s * scale[:, None, None] + offset[:, None, None], rtol=1e-5,
        atol=1e-3)


@pytest.mark.parametrize('n_channels', SIZES)
def test_channels(n_channels):
    x = numpy.random.uniform(-1, 1, (2, n_channels, 3, 5)).astype('f')
    limits = numpy.random.uniform(-1, 1, n_channels).astype('f')
    limits[0] = numpy.nan  # none reaches it
    words = kernels.pack_channels(x, limits)
    assert words.shape == (2, 3, 5, -(-n_channels // 32))
    assert (kernels.unpack_channels(words, n_channels) == numpy.where(
        x >= limits[:, None, None], 1, -1)).all()


def test_planes():
    assert threshold_tiles.PLANES == 8  # of a byte
    with pytest.raises(AttributeError):
        kernels.no_such_kernel  # noqa: B018
