"""RSign and RPReLU against the reference."""
import numba
import numpy
import pytest

from bnn.kernels import reference
from bnn.kernels import shifted_activations

# Of one thread and of several, odd sizes, empty ones
SHAPES = ((6, 4, 3), (8, 20, 5, 7), (2, 3, 2, 2, 2), (7, 3), (40, 3, 1000),
          (50, 6, 17, 19), (0, 3, 2, 2), (2, 0, 3), (2, 3, 0))
DTYPES = numpy.float32, numpy.float64


def case(shape, dtype):
    """Images, a gradient, and three parameters."""
    normal = numpy.random.standard_normal
    x, gy = normal((2, *shape)).astype(dtype)
    return x, gy, *normal((3, shape[1])).astype(dtype)


def edges(dtype):
    """Zeros, 1 and its neighbours, what is not finite, at a shift of 0."""
    inf, one = numpy.inf, dtype(1)
    values = numpy.array([
        0., -0., 1, -1, numpy.nextafter(one, dtype(2)),
        numpy.nextafter(one, dtype(0)), 3e4, -3e4, inf, -inf, numpy.nan],
        dtype)
    x, gy = (v.reshape(1, 1, -1) for v in numpy.meshgrid(values, values))
    zero, one = numpy.zeros(1, dtype), numpy.ones(1, dtype)
    return x, gy, zero, one / 4, one


def assert_same(actual, expected, bound=0.):
    assert actual.dtype == expected.dtype
    numpy.testing.assert_allclose(
        actual, expected, rtol=bound, atol=bound, equal_nan=True)


def assert_sum(actual, expected, terms):
    """Compares sums over channels, relative to the sizes of their terms."""
    if terms.size:
        axis = (0, *range(2, terms.ndim))
        eps = numpy.finfo(actual.dtype).eps
        # In float64 the sums are no more precise than the values.
        eps *= 4 if actual.dtype == numpy.float32 else 200
        bound = eps * abs(terms).sum(axis).max(initial=0)
    else:
        bound = 0
    assert_same(actual, expected, bound)


@pytest.mark.parametrize('dtype', DTYPES)
def test_shifted_signs(dtype):
    for shape in SHAPES:
        x, gy, alpha, _, _ = case(shape, dtype)
        x[:, :1].fill(alpha[0] if alpha.size else 0)  # a tie is +1
        assert_same(shifted_activations.shifted_signs(x, alpha),
                    reference.shifted_signs(x, alpha))
        for surrogate in shifted_activations.SURROGATES:
            args = x, alpha, gy, surrogate
            gx, galpha = shifted_activations.shifted_signs_gradient(*args)
            expected, total = reference.shifted_signs_gradient(*args)
            assert_same(gx, expected, 0 if surrogate != 'swish-sign' else (
                100 * numpy.finfo(dtype).eps))
            assert_sum(galpha, total, 10 * gy)


@pytest.mark.parametrize('dtype', DTYPES)
def test_rprelu(dtype):
    for shape in SHAPES:
        x, gy, gamma, beta, zeta = case(shape, dtype)
        x[:, :1].fill(gamma[0] if gamma.size else 0)  # at the corner
        args = x, gamma, beta, zeta
        assert_same(shifted_activations.rprelu(*args),
                    reference.rprelu(*args))
        args = x, gamma, beta, gy
        gx, *sums = shifted_activations.rprelu_gradient(*args)
        expected, *totals = reference.rprelu_gradient(*args)
        assert_same(gx, expected)
        for one, other in zip(sums, totals, strict=True):
            assert_sum(one, other, 10 * gy)


@pytest.mark.filterwarnings('ignore::RuntimeWarning')  # of the reference
@pytest.mark.parametrize('dtype', DTYPES)
def test_edges(dtype):
    x, gy, zero, beta, zeta = edges(dtype)
    assert_same(shifted_activations.shifted_signs(x, zero),
                reference.shifted_signs(x, zero))
    for surrogate in 'ste', 'approx-sign':
        args = x, zero, gy, surrogate
        for one, other in zip(
                shifted_activations.shifted_signs_gradient(*args),
                reference.shifted_signs_gradient(*args), strict=True):
            assert_same(one, other)
    assert_same(shifted_activations.rprelu(x, zero, beta, zeta),
                reference.rprelu(x, zero, beta, zeta))
    for one, other in zip(
            shifted_activations.rprelu_gradient(x, zero, beta, gy),
            reference.rprelu_gradient(x, zero, beta, gy), strict=True):
        assert_same(one, other)
    # One by one, so that no sum is NaN because of its neighbour
    for one, g in zip(x.ravel(), gy.ravel(), strict=True):
        one, g = one.reshape(1, 1, 1), g.reshape(1, 1, 1)
        for function, args in (
                ('rprelu_gradient', (one, zero, beta, g)),
                ('shifted_signs_gradient', (one, zero, g, 'ste'))):
            for a, b in zip(*(getattr(module, function)(*args) for module in (
                    shifted_activations, reference)), strict=True):
                assert_same(a, b)


def test_views_and_threads():
    """What is not contiguous; the bits of one thread and of two."""
    x, gy, *params = case((30, 8, 40, 40), numpy.float32)
    x, gy = x[::2, :, ::-1], gy[1::2].transpose(0, 1, 3, 2)
    found = []
    for n in 1, min(2, numba.config.NUMBA_NUM_THREADS):
        before = numba.get_num_threads()
        numba.set_num_threads(n)
        try:
            for v, g in ((x, gy), (x.copy(), gy.copy())):
                found.append([
                    a.tobytes() for a in (
                        shifted_activations.shifted_signs(v, params[0]),
                        *shifted_activations.shifted_signs_gradient(
                            v, params[0], g, 'approx-sign'),
                        shifted_activations.rprelu(v, *params),
                        *shifted_activations.rprelu_gradient(
                            v, *params[:2], g))])
        finally:
            numba.set_num_threads(before)
    assert all(one == found[0] for one in found)
