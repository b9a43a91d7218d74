"""Quantizers, random signs and surrogates against exact references."""
import fractions
import unittest
import warnings

import chainer
import numpy
import pytest
from chainer import testing

from bnn import kernels
from bnn.kernels import reference

DTYPES = (numpy.float16, numpy.float32, numpy.float64)
BACKENDS = [{}, {'use_cuda': True}]
BITS = list(range(2, 9))


def levels_of(quantizer, bits):
    if quantizer == 'dorefa':
        return 2 ** bits - 1, 0., 1.
    return 2 ** (bits - 1), -1., 1.


def boundaries(n, low, high, dtype):
    """Midpoints between levels and one ulp either side, levels, the rest."""
    first, last = int(low * n), int(high * n)
    halves = numpy.arange(first, last) + .5
    x = numpy.concatenate([halves / n, numpy.arange(first, last + 1) / n])
    x = x.astype(dtype)
    up, down = dtype(numpy.inf), dtype(-numpy.inf)
    tiny = numpy.finfo(dtype).smallest_subnormal
    big = numpy.finfo(dtype).max
    return numpy.concatenate([
        x, numpy.nextafter(x, up), numpy.nextafter(x, down),
        numpy.array([0., -0., tiny, -tiny, 1.5, -1.5, 100, -100, big, -big,
                     numpy.inf, -numpy.inf], dtype)])


def exact(x, n, low, high):
    """Rounds each number alone, in exact arithmetic but for the product.

    The product is rounded to the dtype once, as the formula has it, so that
    what lies within half an ulp of a midpoint counts as a tie.
    """
    found = []
    for value in x.ravel().tolist():
        value = min(max(value, low), high)
        product = float(x.dtype.type(float(fractions.Fraction(value) * n)))
        # Python rounds a tie to even too
        found.append(round(fractions.Fraction(product)) / n)
    return numpy.array(found).astype(x.dtype).reshape(x.shape)


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


@testing.parameterize(*testing.product({
    'dtype': DTYPES, 'quantizer': ['dorefa', 'linear'], 'bits': BITS}))
@testing.inject_backend_tests(
    ['test_boundaries', 'test_random'], BACKENDS)
class TestQuantize(unittest.TestCase):

    def test_boundaries(self, backend_config):
        n, low, high = levels_of(self.quantizer, self.bits)
        x = boundaries(n, low, high, self.dtype)
        before = x.copy()
        y = to_cpu(kernels.quantize(
            backend_config.get_array(x), n, low, high))
        assert y.dtype == self.dtype
        numpy.testing.assert_array_equal(y, exact(x, n, low, high))
        numpy.testing.assert_array_equal(
            y, reference.quantize(x, n, low, high))
        numpy.testing.assert_array_equal(x, before)
        levels = set((numpy.arange(low * n, high * n + 1) / n).astype(
            self.dtype).tolist())
        assert set(y.tolist()) == levels

    def test_random(self, backend_config):
        n, low, high = levels_of(self.quantizer, self.bits)
        x = numpy.sort(numpy.random.RandomState(self.bits).uniform(
            -1.5, 1.5, 500)).astype(self.dtype)
        y = to_cpu(kernels.quantize(
            backend_config.get_array(x), n, low, high))
        numpy.testing.assert_array_equal(y, exact(x, n, low, high))
        y = y.astype(float)
        assert (numpy.diff(y) >= 0).all()
        inside = numpy.clip(x.astype(float), low, high)
        assert abs(y - inside).max() <= (
            .5 / n + 2 * numpy.finfo(self.dtype).eps)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('quantize', [kernels.quantize, reference.quantize])
class TestByHand(object):

    def test_dorefa_2_bits(self, dtype, quantize):
        # Boundaries at 1/6, 1/2 and 5/6; the one that is a float is a tie
        x = numpy.array(
            [-9, -0., 0, .166, .167, .499, .5, .501, .833, .834, 1, 9], dtype)
        numpy.testing.assert_array_equal(
            quantize(x, 3, 0., 1.), (numpy.array(
                [0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3]) / 3).astype(dtype))

    def test_dorefa_3_bits(self, dtype, quantize):
        # Boundaries at 1/14, 3/14, 5/14, 1/2, 9/14, 11/14, 13/14
        x = numpy.array(
            [.069, .074, .212, .217, .355, .360, .498, .5, .640, .645, .783,
             .788, .926, .931], dtype)
        numpy.testing.assert_array_equal(
            quantize(x, 7, 0., 1.), (numpy.array(
                [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7]) / 7).astype(dtype))

    def test_linear_2_bits(self, dtype, quantize):
        # Each tie of this quantizer is a float: 1/4 to 0, 3/4 to 1
        x = numpy.array(
            [.249, .25, .251, .749, .75, .751, 1, 1.25, numpy.inf], dtype)
        expected = numpy.array([0, 0, .5, .5, 1, 1, 1, 1, 1])
        numpy.testing.assert_array_equal(quantize(x, 2, -1., 1.), expected)
        numpy.testing.assert_array_equal(quantize(-x, 2, -1., 1.), -expected)

    def test_linear_3_bits(self, dtype, quantize):
        x = numpy.array([.124, .125, .126, .374, .375, .376, .624, .625,
                         .626, .874, .875, .876], dtype)
        expected = numpy.array(
            [0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4]) / 4
        numpy.testing.assert_array_equal(quantize(x, 4, -1., 1.), expected)
        numpy.testing.assert_array_equal(quantize(-x, 4, -1., 1.), -expected)

    def test_nan_stays(self, dtype, quantize):
        y = quantize(numpy.array([numpy.nan, 1], dtype), 3, 0., 1.)
        assert numpy.isnan(y[0])
        assert y[1] == 1

    def test_zero_dimensions(self, dtype, quantize):
        y = quantize(numpy.array(.6, dtype), 3, 0., 1.)
        assert y.shape == ()
        assert y.dtype == dtype
        assert y == dtype(2 / 3)


@pytest.mark.parametrize('dtype', DTYPES)
def test_zero_dimensions_give_an_array(dtype):
    y = kernels.quantize(numpy.array(.6, dtype), 3, 0., 1.)
    assert isinstance(y, numpy.ndarray)


@pytest.mark.parametrize('dtype', DTYPES)
def test_layouts(dtype):
    base = numpy.random.RandomState(0).uniform(-2, 2, (6, 8, 4)).astype(dtype)
    for x in (base[::2], base[:, 1:7:3], base.T, base[..., 2], base[:0],
              base[:, :0], numpy.asfortranarray(base)):
        y = kernels.quantize(x, 7, 0., 1.)
        assert y.shape == x.shape
        assert y.dtype == dtype
        numpy.testing.assert_array_equal(
            y, reference.quantize(x, 7, 0., 1.))
        assert not numpy.shares_memory(x, y)


@pytest.mark.parametrize('dtype', [
    numpy.int8, numpy.int32, numpy.uint8, bool, numpy.complex64])
def test_wrong_dtype(dtype):
    x = numpy.ones(3, dtype)
    for call in (lambda: kernels.quantize(x, 3, 0., 1.),
                 lambda: kernels.stochastic_binarize(x),
                 lambda: kernels.approx_sign_gradient(x, x),
                 lambda: kernels.swish_sign_gradient(x, x)):
        with pytest.raises(TypeError, match='floating point'):
            call()


# ---- bounds of the straight-through estimator

@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(['test_bounds'], BACKENDS)
class TestSTEGradient(unittest.TestCase):

    def test_bounds(self, backend_config):
        for low, high in ((-1., 1.), (0., 1.), (-.25, .75)):
            ends = numpy.array([low, high], self.dtype)
            x = numpy.concatenate([
                ends, numpy.nextafter(ends, self.dtype(numpy.inf)),
                numpy.nextafter(ends, self.dtype(-numpy.inf)),
                numpy.array([numpy.nan, numpy.inf, -numpy.inf, .5],
                            self.dtype)])
            gy = numpy.arange(1, 11).astype(self.dtype)
            gx = to_cpu(kernels.ste_gradient(
                backend_config.get_array(x), backend_config.get_array(gy),
                low, high))
            assert gx.dtype == self.dtype
            numpy.testing.assert_array_equal(
                gx, [1, 2, 3, 0, 0, 6, 0, 0, 0, 10])
            numpy.testing.assert_array_equal(
                gx, reference.ste_gradient(x, gy, low, high))


# ---- surrogates

def points(dtype):
    one = dtype(1)
    return numpy.concatenate([
        numpy.linspace(-3, 3, 101).astype(dtype),
        numpy.array([0., -0., one, -one, numpy.nextafter(one, dtype(2)),
                     numpy.nextafter(one, dtype(0)), 50, -50, numpy.inf,
                     -numpy.inf, numpy.nan], dtype)])


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(['test_approx', 'test_swish'], BACKENDS)
class TestSurrogates(unittest.TestCase):

    def _compare(self, backend_config, fast, slow, **kwargs):
        x = points(self.dtype)
        gy = numpy.linspace(1, 2, len(x)).astype(self.dtype)
        gx = to_cpu(fast(backend_config.get_array(x),
                         backend_config.get_array(gy), **kwargs))
        assert gx.dtype == self.dtype
        assert gx.shape == x.shape
        eps = float(numpy.finfo(self.dtype).eps)
        numpy.testing.assert_allclose(
            gx.astype(float), slow(x, gy, **kwargs).astype(float),
            rtol=8 * eps, atol=32 * eps)
        # Not finite: no gradient
        numpy.testing.assert_array_equal(gx[-3:], 0)

    def test_approx(self, backend_config):
        self._compare(backend_config, kernels.approx_sign_gradient,
                      reference.approx_sign_gradient)

    def test_swish(self, backend_config):
        for beta in (1., 5., 10.):
            self._compare(backend_config, kernels.swish_sign_gradient,
                          reference.swish_sign_gradient, beta=beta)


def arrays(dtype):
    """Of one thread and of all, of each layout, and of the other byte order.
    """
    x = numpy.random.RandomState(0).uniform(-1.5, 1.5, (8, 1001)).astype(
        dtype)
    return [x, x[::2, 1::3], x.T, x[:, ::-1],
            numpy.broadcast_to(x[0], x.shape), x[:0], numpy.array(.5, dtype),
            points(dtype), numpy.tile(x, (10, 1)),
            x.astype(x.dtype.newbyteorder())]


@pytest.mark.parametrize('dtype', DTYPES)
def test_same_bits_as_the_reference(dtype):
    for x in arrays(dtype):
        gy = x[..., ::-1] if x.ndim else x
        for y, expected in [
                (kernels.approx_sign_gradient(x, gy),
                 reference.approx_sign_gradient(x, gy)),
                *((kernels.quantize(x, *levels),
                   reference.quantize(x, *levels)) for levels in (
                       (3, 0., 1.), (128, -1., 1.)))]:
            assert y.dtype == expected.dtype
            assert y.shape == expected.shape
            # + 0: versions of numpy.clip differ in the sign of 0
            assert (y + 0).tobytes() == (expected + 0).tobytes()


@pytest.mark.parametrize('dtype', DTYPES[1:])
@pytest.mark.parametrize('beta', [.5, 1., 5., 10.])
def test_bound_of_swish(dtype, beta):
    for x in arrays(dtype):
        x = numpy.array(6 / beta * x, x.dtype)
        gy = numpy.random.RandomState(1).uniform(-3, 3, x.shape)
        gy = numpy.array(gy, x.dtype)
        gx = kernels.swish_sign_gradient(x, gy, beta)
        assert gx.dtype == gy.dtype
        expected = reference.swish_sign_gradient(
            x.astype(float), gy.astype(float), beta)
        assert (abs(gx - expected) <= (
            4 * beta * numpy.finfo(dtype).eps * abs(gy))).all()


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name', ['approx_sign_gradient',
                                  'swish_sign_gradient'])
def test_surrogates_of_extremes_do_not_warn(dtype, name):
    big = numpy.finfo(dtype).max
    x = numpy.array([big, -big, numpy.inf, -numpy.inf, numpy.nan], dtype)
    with warnings.catch_warnings(), numpy.errstate(all='warn', under='ignore'):
        warnings.simplefilter('error')
        for gy in 0, 1:
            gx = getattr(kernels, name)(x, numpy.full_like(x, gy))
            numpy.testing.assert_array_equal(gx, 0)


# ---- random signs

@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('shape', [(), (0,), (7,), (3, 0, 2), (13, 17)])
def test_stochastic_against_reference(dtype, shape):
    x = numpy.asarray(numpy.random.RandomState(1).uniform(-1.5, 1.5, shape),
                      dtype)
    numpy.random.seed(3)
    u = numpy.random.randint(0, 1 << 24, shape, numpy.uint32) * 2. ** -24
    numpy.random.seed(3)
    y = kernels.stochastic_binarize(x)
    assert y.dtype == dtype
    assert y.shape == shape
    numpy.testing.assert_array_equal(y, reference.stochastic_binarize(x, u))


@pytest.mark.parametrize('dtype', DTYPES)
def test_stochastic_not_finite(dtype):
    x = numpy.repeat(numpy.array(
        [numpy.nan, numpy.inf, -numpy.inf], dtype)[:, None], 1000, axis=1)
    y = kernels.stochastic_binarize(x)
    numpy.testing.assert_array_equal(y[0], -1)
    numpy.testing.assert_array_equal(y[1], 1)
    numpy.testing.assert_array_equal(y[2], -1)


@pytest.mark.parametrize('dtype', DTYPES)
def test_stochastic_large(dtype):
    # From 2^16 elements on there are threads
    x = numpy.random.RandomState(1).uniform(-1.5, 1.5, (300, 301)).T.astype(
        dtype)
    numpy.random.seed(3)
    u = numpy.random.randint(0, 1 << 24, x.shape, numpy.uint32) * 2. ** -24
    following = numpy.random.randint(1 << 30)
    numpy.random.seed(3)
    numpy.testing.assert_array_equal(
        kernels.stochastic_binarize(x), reference.stochastic_binarize(x, u))
    assert numpy.random.randint(1 << 30) == following


def test_stochastic_non_contiguous():
    x = numpy.where(numpy.arange(24).reshape(4, 6) % 2, 2., -2.)
    for view in x[::2, 1::3], x.T, x[:, ::-1]:
        numpy.testing.assert_array_equal(
            kernels.stochastic_binarize(view), numpy.sign(view))


testing.run_module(__name__, __file__)
