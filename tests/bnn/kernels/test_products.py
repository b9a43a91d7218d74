"""Products of rounded matrices against float64."""
import hypothesis
import numba
import numpy
import pytest
from hypothesis import strategies

from bnn.kernels import bits
from bnn.kernels import float_tiles
from bnn.kernels import products
from bnn.kernels import reference
from bnn.kernels import sign_products
from tests.helpers import random_cases

EPS = 2. ** -23
SIZES = strategies.integers(0, 140)


def draw(*shape):
    return numpy.random.standard_normal(shape).astype('f')


def test_rounding():
    x = numpy.array([1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20,
                     -1 - 2 ** -9, 0, -0., numpy.inf, -numpy.inf, 3.4e38,
                     numpy.nan, 2 ** -140], 'f')
    y = products.round_to_bfloat16(x)
    numpy.testing.assert_array_equal(y, numpy.array(
        [1, 1, 1 + 2 ** -6, 1 + 2 ** -7, -1, 0, 0, numpy.inf, -numpy.inf,
         numpy.inf, numpy.nan, 0], 'f'))
    assert not (y.view(numpy.uint32) & 0xFFFF).any()


@pytest.fixture(params=range(len(float_tiles.NAMES)),
                ids=float_tiles.NAMES)
def unit(request, monkeypatch):
    monkeypatch.setattr(float_tiles, 'UNIT', request.param)


@random_cases.settings
@hypothesis.given(m=SIZES, k=SIZES, n=SIZES, is_turned=strategies.booleans())
@hypothesis.example(m=3, k=1500, n=70, is_turned=False)
@hypothesis.example(m=64, k=2100, n=128, is_turned=True)
@hypothesis.example(m=200, k=100, n=1000, is_turned=True)
def test_product(unit, m, k, n, is_turned):
    a = draw(k, m).T if is_turned else draw(m, k)
    b = draw(k, n)
    y = products.multiply_rounded(a, b)
    check(y, *map(reference.round_to_bfloat16, (a, b)))
    assert y.flags.writeable


@random_cases.settings
@hypothesis.given(m=SIZES, k=SIZES, n=SIZES, is_turned=strategies.booleans())
@hypothesis.example(m=3, k=1500, n=70, is_turned=False)
@hypothesis.example(m=64, k=128, n=2100, is_turned=True)
@hypothesis.example(m=200, k=100, n=1000, is_turned=False)
def test_products_by_packed_signs(unit, m, k, n, is_turned):
    W = draw(n, k)
    packed, W = bits.pack(W), reference.binarize(W)
    a = draw(k, m).T if is_turned else draw(m, k)
    check(sign_products.multiply_by_transposed(a, packed), a, W.T)
    g = draw(n, m).T if is_turned else draw(m, n)
    check(products.multiply_by_signs(g, packed, k), g, W)
    check(products.multiply_by_signs(g, packed, k, 'bfloat16'),
          reference.round_to_bfloat16(g), W)


def check(y, a, b):
    """A sum of k terms is off by k eps of the sum of their sizes at most."""
    assert y.dtype == numpy.float32 and y.shape == (len(a), b.shape[1])
    a, b = a.astype('d'), b.astype('d')
    assert (abs(y - a @ b) <= len(b) * EPS * (abs(a) @ abs(b))).all()


def test_other_sizes_are_refused():
    """They would be read beyond the end."""
    a, W = draw(3, 64), bits.pack(draw(5, 70))
    with pytest.raises(ValueError, match='64 terms by the 96 bits of a row'):
        sign_products.multiply_by_transposed(a, W)
    with pytest.raises(ValueError, match='64 columns by 5 rows'):
        products.multiply_by_signs(a, W, 70)
    with pytest.raises(ValueError, match='100 terms by the 96 bits'):
        products.multiply_by_signs(draw(3, 5), W, 100)


def test_not_finite(unit):
    inf, nan = numpy.inf, numpy.nan
    # The last is a NaN whose first 16 bits alone are those of infinity.
    late = numpy.array([0x7f800001], numpy.uint32).view('f')[0]
    a = numpy.array([[inf, 1], [-inf, 1], [nan, 1], [late, 1], [inf, inf]],
                    'f')
    b = numpy.array([[1, -1, 1], [1, 1, -1]], 'f')
    with numpy.errstate(invalid='ignore'):
        found = [products.multiply_rounded(a, b), *(
            products.multiply_by_signs(a, bits.pack(b), 3, precision)
            for precision in products.PRECISIONS)]
    for y in found:
        numpy.testing.assert_array_equal(y, [
            [inf, -inf, inf], [-inf, inf, -inf], [nan] * 3, [nan] * 3,
            [inf, nan, nan]])


def test_threads_give_the_same_bits(unit):
    a, b = draw(200, 300), draw(300, 1000)
    W = bits.pack(draw(300, 1000))
    results, before = set(), numba.get_num_threads()
    try:
        for n in range(1, before + 1):
            numba.set_num_threads(n)
            results.add(tuple(y.tobytes() for y in (
                products.multiply_rounded(a, b),
                products.multiply_by_signs(a, W, 1000, 'bfloat16'),
                sign_products.multiply_by_transposed(b, W))))
    finally:
        numba.set_num_threads(before)
    assert len(results) == 1
