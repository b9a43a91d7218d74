"""Perceptrons on bits against sums of whole numbers."""
import numba
import numpy
import pytest

from bnn.kernels import bits
from bnn.kernels import byte_products
from bnn.kernels import packed_perceptron
from bnn.kernels import reference


def draw(random, *shape):
    return random.choice([-1, 1], shape).astype(numpy.int16)


def pack(signs):
    return bits.pack(signs.astype(numpy.float32))


@pytest.mark.parametrize('of_pixels, of_bits', [
    (True, False), (True, True), (False, False)])
def test_perceptron(of_pixels, of_bits, monkeypatch):
    """With products of bytes, where the processor has them, and without."""
    is_available = byte_products.IS_AVAILABLE
    monkeypatch.setattr(
        byte_products, 'IS_AVAILABLE', is_available and of_pixels)
    monkeypatch.setattr(
        byte_products, 'IS_AHEAD_OF_POPCOUNT', is_available and of_bits)
    for sizes in [*((n, 70, n) for n in (1, 63, 64, 65, 127)), (40, 1, 63),
                  (784, 100, 65, 10)]:
        for kind in 'bits', 'pixels', 'signs of pixels':
            check(sizes, kind)


def check(sizes, kind):
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
                limits.append(255 * (W > 0).sum(axis=1) - least)
            else:
                limits.append((W.shape[1] - least) // 2)
            h = numpy.where(s >= least, 1, -1)
        limits = [limit.astype(numpy.int32) for limit in limits]
        rows = [pack(W) for W in weights]
        scale, offset = random.uniform(-1, 1, (2, sizes[-1])).astype('f')
        whole = packed_perceptron.Perceptron(
            rows, limits, sizes[:-1], of_pixels=of_pixels, of_signs=of_signs)
        assert (whole(operand) == reference.pack(
            h.astype(numpy.float32))).all()
        if len(weights) > 1:
            floats = packed_perceptron.Perceptron(
                rows, [*limits[:-1], None], sizes[:-1], scale, offset,
                of_pixels, of_signs)
            numpy.testing.assert_allclose(
                floats(operand), s * scale + offset, rtol=1e-5, atol=1e-4)


def test_perceptron_without_images():
    perceptron = packed_perceptron.Perceptron(
        [pack(draw(numpy.random, 5, 40))], [None], [40],
        numpy.ones(5, 'f'), numpy.ones(5, 'f'))
    assert perceptron(numpy.empty((0, 2), numpy.uint32)).shape == (0, 5)


def test_threads_agree():
    random = numpy.random.RandomState(0)
    W = draw(random, 1000, 784)
    x = random.randint(0, 256, (500, 784)).astype(numpy.uint8)
    s = x.astype(int) @ W.T
    least = numpy.rint(numpy.median(s, axis=0)).astype(numpy.int32)
    perceptron = packed_perceptron.Perceptron(
        [pack(W)], [(255 * (W > 0).sum(axis=1) - least).astype('i4')], [784],
        of_pixels=True)
    before = numba.get_num_threads()
    try:
        for n in range(1, before + 1):
            numba.set_num_threads(n)
            assert (perceptron(x) == reference.pack(
                numpy.where(s >= least, 1., -1.))).all()
    finally:
        numba.set_num_threads(before)
