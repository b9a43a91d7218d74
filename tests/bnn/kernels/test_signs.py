"""Products with a matrix of signs against float64 and by hand."""
import numba
import numpy
import pytest

from bnn.kernels import bits
from bnn.kernels import products
from bnn.kernels import reference
from bnn.kernels import signs

DTYPES = numpy.float16, numpy.float32, numpy.float64
SHAPES = [(m, k, 9) for m in (1, 2, 31, 33) for k in (1, 31, 32, 33, 100)] + [
    (3, 40, n) for n in (1, 31, 32, 33, 64, 97)] + [
    (70, 70, 70), (0, 5, 3), (3, 5, 0), (3, 0, 5), (200, 300, 1100)]


def normal(*shape, dtype=numpy.float32):
    return numpy.asarray(numpy.random.standard_normal(shape), dtype)


def check(y, a, b, unit):
    """Compares a product with that in float64, to the documented bound."""
    a, b = (v.astype(numpy.float64) for v in (a, b))
    bound = a.shape[1] * (unit * (abs(a) @ abs(b)) + 2. ** -126)
    assert y.shape == bound.shape
    assert (abs(y.astype(numpy.float64) - a @ b) <= bound).all()


def layouts(x):
    return x, numpy.asfortranarray(x), numpy.repeat(x, 2, 1)[:, ::2]


def test_is_signs():
    for dtype in DTYPES:
        others = numpy.array([
            0, -0., numpy.nan, -numpy.nan, numpy.inf, -numpy.inf, 2, -.5,
            numpy.nextafter(dtype(1), dtype(2)),
            numpy.nextafter(dtype(-1), dtype(0)), 1e-7], dtype)
        # 2^11 numbers are checked at a time, and 2^16 by one thread.
        for shape in ((), (1,), (7,), (3, 5), (2, 1023), (2, 1024), (2, 1025),
                      (3, 30000)):
            x = reference.binarize(normal(*shape, dtype=dtype))
            assert signs.is_signs(x) is reference.is_signs(x) is True
            for place in 0, x.size // 2, x.size - 1:
                for other in others:
                    y = x.copy()
                    y.flat[place] = other
                    assert signs.is_signs(y) is reference.is_signs(y) is False
        for view in (x[::2], x[:, ::3], x.T, x[:0]):
            assert signs.is_signs(view)
        x[1, 1] = 0
        assert not signs.is_signs(x.T)
        assert not signs.is_signs(x[1::2])
        assert signs.is_signs(x[::2])


def test_products(device):
    for dtype in device.dtypes:
        unit = 2 * numpy.finfo(dtype).eps
        for m, k, n in SHAPES:
            W = normal(n, k, dtype=dtype)
            found = signs.Signs(device.send(W))
            for x in normal(m, k, dtype=dtype), reference.binarize(
                    normal(m, k, dtype=dtype)):
                y = device.call(found.apply, x)
                assert y.dtype == dtype
                check(y, x, reference.binarize(W).T, unit)
            g = normal(m, n, dtype=dtype)
            gx = device.call(found.apply_transposed, g)
            assert gx.dtype == dtype
            check(gx, g, reference.binarize(W), unit)
            check(device.call(signs.weight_gradient, g, x), g.T, x, unit)


def test_array(device):
    for dtype in device.dtypes:
        W = normal(3, 40, dtype=dtype)
        W[0, :4] = 0, -0., numpy.nan, -numpy.inf
        numpy.testing.assert_array_equal(
            device.fetch(signs.Signs(device.send(W)).array),
            reference.binarize(W))


def test_precision():
    """Rounded gradients, exact signs; dtypes but float32 as they are."""
    for dtype in DTYPES:
        for m, k, n in SHAPES:
            W, g = normal(n, k, dtype=dtype), normal(m, n, dtype=dtype)
            x, gy = normal(k, n, dtype=dtype), normal(k, m, dtype=dtype)
            unit = 2 * numpy.finfo(dtype).eps
            round_all = (reference.round_to_bfloat16
                         if dtype == numpy.float32 else lambda v: v)
            for v in layouts(g):
                y = signs.Signs(W).apply_transposed(v, 'bfloat16')
                assert y.dtype == dtype
                check(y, round_all(g), reference.binarize(W), unit)
            for v in layouts(gy):
                y = signs.weight_gradient(v, x, 'bfloat16')
                assert y.dtype == dtype
                check(y, round_all(gy).T, round_all(x), unit)


def test_weight_gradient_of_signs(monkeypatch):
    """From tables of sums where there are many terms."""
    monkeypatch.setattr(signs, 'MIN_PRODUCTS', 0)
    for m in 1, 63, 64, 131:
        x, gy = reference.binarize(normal(m, 50)), normal(m, 37)
        for precision in products.PRECISIONS:
            rounded = (reference.round_to_bfloat16(gy)
                       if precision == 'bfloat16' else gy)
            check(signs.weight_gradient(gy, x, precision), rounded.T, x,
                  2. ** -23)


def test_signs_by_signs_have_one_result(monkeypatch):
    for least in 0, 1 << 18, 1 << 60:
        monkeypatch.setattr(signs, 'MIN_PRODUCTS', least)
        for dtype in DTYPES:
            for m, k, n in SHAPES:
                x = reference.binarize(normal(m, k, dtype=dtype))
                W = normal(n, k, dtype=dtype)
                W.flat[:2] = 0, -0.
                y = signs.Signs(W).apply(x)
                assert y.dtype == dtype
                assert y.tobytes() == reference.sign_product(x, W).tobytes()


def test_packed_products_from_a_size_on(monkeypatch):
    calls = []
    product = bits.xnor_product
    monkeypatch.setattr(bits, 'xnor_product', lambda *args: (
        calls.append(args), product(*args))[1])
    W = normal(9, 100)
    for x, is_packed in (
            (normal(291, 100), False), (normal(292, 100), False),
            (reference.binarize(normal(291, 100)), False),
            (reference.binarize(normal(292, 100)), True)):  # 2^18 and more
        calls.clear()
        signs.Signs(W).apply(x)
        assert bool(calls) == is_packed


def test_small_integers_are_exact():
    W = normal(70, 300)
    x = numpy.random.randint(-1000, 1000, (40, 300)).astype('f')
    numpy.testing.assert_array_equal(
        signs.Signs(W).apply(x), x @ reference.binarize(W).T)


@pytest.fixture(params=[0, 1 << 60], ids=['packed', 'BLAS'])
def least(request, monkeypatch):
    monkeypatch.setattr(signs, 'MIN_PRODUCTS', request.param)


def test_all_bits_count(least):
    """A float32 of 24 ones less its neighbour leaves the last bit."""
    x = numpy.full((1, 2), numpy.nextafter(numpy.float32(2), 0))
    x[0, 1] = numpy.nextafter(x[0, 0], 0)
    y = signs.Signs(numpy.array([[1, -1]], 'f')).apply(x)
    assert y.item() == 2. ** -23


def test_not_finite(least):
    inf, nan = numpy.inf, numpy.nan
    # The last is a NaN whose first bits alone are those of infinity.
    late = numpy.array([0x7f800001], numpy.uint32).view('f')[0]
    x = numpy.array([[inf, 1], [-inf, 1], [nan, 1], [late, 1], [inf, inf],
                     [3e38, 3e38]], 'f')
    W = numpy.array([[1, 1], [-1, 1], [1, -1]], 'f')
    with numpy.errstate(all='ignore'):
        y = signs.Signs(W).apply(x)
    numpy.testing.assert_array_equal(y, [
        [inf, -inf, inf], [-inf, inf, -inf], [nan] * 3, [nan] * 3,
        [inf, nan, nan], [inf, 0, 0]])


def test_the_signs_are_those_of_the_first_product():
    """Changes of the matrix after the first product have no effect."""
    for precision in products.PRECISIONS:
        for x in normal(800, 90), reference.binarize(normal(800, 90)):
            W, g = normal(70, 90), normal(80, 70)
            found, before = signs.Signs(W), reference.binarize(W)
            found.apply(x)
            W *= -1
            if precision == 'bfloat16':
                g = reference.round_to_bfloat16(g)
            check(found.apply_transposed(g, precision), g, before, 2 ** -22)
            numpy.testing.assert_array_equal(found.array, before)


def test_a_small_product_before_a_large_one():
    """By the BLAS, then by packed signs: those of the first."""
    W, x = normal(70, 90), normal(800, 90)
    found, before = signs.Signs(W), reference.binarize(W)
    found.apply(x[:1])
    W *= -1
    check(found.apply(x), x, before.T, 2 ** -22)


def test_threads_give_the_same_bits():
    W, x = normal(300, 400), normal(200, 400)
    results = set()
    before = numba.get_num_threads()
    try:
        for n in range(1, before + 1):
            numba.set_num_threads(n)
            results.add(signs.Signs(W).apply(x).tobytes())
    finally:
        numba.set_num_threads(before)
    assert len(results) == 1


def test_integers_have_no_signs():
    with pytest.raises(TypeError, match='floating point'):
        signs.Signs(numpy.ones((2, 2), int))
