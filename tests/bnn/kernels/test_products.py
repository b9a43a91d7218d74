"""Products of rounded matrices against float64."""
import hypothesis
import numba
import numpy
import pytest
from hypothesis import strategies

from bnn.kernels import float_tiles
from bnn.kernels import products
from bnn.kernels import reference
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
@hypothesis.given(m=SIZES, k=SIZES, n=SIZES, is_turned=strategies.booleans(),
                  is_exact=strategies.booleans())
@hypothesis.example(m=3, k=1500, n=70, is_turned=False, is_exact=False)
def test_product(unit, m, k, n, is_turned, is_exact):
    """A sum of k terms is off by k eps of the sum of their sizes at most."""
    a = draw(k, m).T if is_turned else draw(m, k)
    b = draw(k, n)
    if is_exact:
        b = reference.binarize(b)
    y = products.multiply_rounded(a, b, is_exact)
    a, b = (reference.round_to_bfloat16(v).astype('d') for v in (a, b))
    assert y.dtype == numpy.float32 and y.shape == (m, n)
    assert (abs(y - a @ b) <= k * EPS * (abs(a) @ abs(b))).all()
    assert y.flags.writeable


def test_not_finite(unit):
    inf, nan = numpy.inf, numpy.nan
    # The last is a NaN whose first 16 bits alone are those of infinity.
    late = numpy.array([0x7f800001], numpy.uint32).view('f')[0]
    a = numpy.array([[inf, 1], [-inf, 1], [nan, 1], [late, 1], [inf, inf]],
                    'f')
    b = numpy.array([[1, -1, 1], [1, 1, -1]], 'f')
    with numpy.errstate(invalid='ignore'):
        y = products.multiply_rounded(a, b)
    numpy.testing.assert_array_equal(y, [
        [inf, -inf, inf], [-inf, inf, -inf], [nan] * 3, [nan] * 3,
        [inf, nan, nan]])


def test_threads_give_the_same_bits(unit):
    a, b = draw(200, 300), draw(300, 1000)
    results, before = set(), numba.get_num_threads()
    try:
        for n in range(1, before + 1):
            numba.set_num_threads(n)
            results.add(products.multiply_rounded(a, b).tobytes())
    finally:
        numba.set_num_threads(before)
    assert len(results) == 1
