"""Packed signs and their product, against the reference and by hand."""
import numpy
import pytest

from bnn.kernels import bits
from bnn.kernels import reference

WIDTHS = 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 1000
DTYPES = numpy.float16, numpy.float32, numpy.float64


def normal(*shape, dtype=numpy.float32):
    return numpy.asarray(numpy.random.standard_normal(shape), dtype)


def check_pack(x):
    words = bits.pack(x)
    assert words.dtype == numpy.uint32
    numpy.testing.assert_array_equal(words, reference.pack(x))


def test_pack():
    nan, inf = numpy.nan, numpy.inf
    for dtype in DTYPES:
        for shape in [(3, k) for k in WIDTHS] + [
                (5,), (0, 4), (3, 0), (2, 3, 40), (300, 301)]:
            check_pack(normal(*shape, dtype=dtype))
        x = normal(8, 70, dtype=dtype)
        for view in x[::2], x[:, ::2], x.T, x[::-1], x[:, 3:]:
            check_pack(view)
        x = numpy.array([[0., -0., nan, -nan, inf, -inf, 1e-7, -1e-7] * 9],
                        dtype)
        check_pack(x)
        assert bits.pack(x[:, :8]).tolist() == [[0b01010011]]
        assert bits.pack(numpy.ones((1, 33), dtype)).tolist() == [
            [0xffffffff, 1]]
    with pytest.raises(TypeError, match='floating point'):
        bits.pack(numpy.ones((2, 3), int))


def test_unpack():
    for dtype in DTYPES[1:]:
        for shape in [(3, k) for k in WIDTHS] + [(0, 4), (300, 301)]:
            x = normal(*shape, dtype=dtype)
            y = bits.unpack(bits.pack(x), shape[1], x.dtype)
            assert y.dtype == dtype
            numpy.testing.assert_array_equal(y, reference.binarize(x))


def test_xnor_product():
    for m, k, n in [(3, k, 5) for k in WIDTHS] + [
            (m, 40, n) for m in (1, 2, 5, 6, 7, 13)
            for n in (1, 63, 64, 65, 130)] + [
            (0, 5, 3), (3, 5, 0), (3, 0, 5), (200, 9, 2), (100, 2000, 300)]:
        x, W = reference.binarize(normal(m, k)), normal(n, k)
        a, b = reference.pack(x), reference.pack(W)
        expected = x @ reference.binarize(W).T
        if k:
            numpy.testing.assert_array_equal(
                reference.xnor_product(a[:9], b, k), expected[:9])
        for second in b, bits.Columns(b):
            y = bits.xnor_product(a, second, k)
            assert y.dtype == numpy.float32
            numpy.testing.assert_array_equal(y, expected)
    a = numpy.array([[0b101]], numpy.uint32)  # +1 -1 +1
    b = numpy.array([[0b101], [0b010], [0b100]], numpy.uint32)
    assert bits.xnor_product(a, b, 3).tolist() == [[3, -3, 1]]
