"""The kernels, held bit for bit to the reference, and it to hand values."""
import itertools
import unittest
import warnings

import chainer
import numpy
import pytest
from chainer import testing

from bnn import kernels
from bnn.kernels import reference

DTYPES = (numpy.float16, numpy.float32, numpy.float64)
SHAPES = ((), (0,), (1,), (7,), (3, 0, 2), (13, 17), (5, 1, 3), (1001,),
          (2, 3, 5, 7))
BACKENDS = [{}, {'use_cuda': True}]


def special(dtype):
    """Edge values: zeros, denormals, 1 and its neighbours, huge, not finite.
    """
    info = numpy.finfo(dtype)
    one = dtype(1)
    values = [
        0., info.smallest_subnormal, info.tiny, info.tiny / 2, info.eps,
        .25, .5, numpy.nextafter(one, dtype(0)), one,
        numpy.nextafter(one, dtype(2)), 2., info.max, numpy.inf]
    values = numpy.array(values, dtype)
    return numpy.concatenate([values, -values, [dtype(numpy.nan)],
                              [-dtype(numpy.nan)]])


def random(shape, dtype):
    x = numpy.random.uniform(-2, 2, shape).astype(dtype)
    return numpy.asarray(x, dtype)


def layouts(dtype):
    """Arrays that are not contiguous, and one that is in Fortran's order."""
    x = random((8, 9, 10), dtype)
    return [x[::2], x[:, 1:8:3], x[::-1], x.transpose(2, 0, 1), x.T,
            x[..., 3], numpy.asfortranarray(x), x[1:1],
            numpy.broadcast_to(x[:1], (4, 9, 10))]


def inputs(dtype):
    return ([random(shape, dtype) for shape in SHAPES] + layouts(dtype)
            + [special(dtype)])


def assert_same_bits(actual, expected):
    actual = chainer.get_device('@numpy').send(actual)
    assert isinstance(actual, numpy.ndarray)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    # assert_array_equal takes -0.0 for 0.0 and each NaN for any.
    assert actual.tobytes() == expected.tobytes()


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_binarize', 'test_ste_gradient', 'test_ste_gradient_special',
     'test_clip', 'test_clip_non_contiguous'], BACKENDS)
class TestAgainstReference(unittest.TestCase):

    def test_binarize(self, backend_config):
        for x in inputs(self.dtype):
            before = x.copy()
            y = kernels.binarize(backend_config.get_array(x))
            assert_same_bits(y, reference.binarize(x))
            assert_same_bits(x, before)

    def test_ste_gradient(self, backend_config):
        for x in inputs(self.dtype):
            gy = random(x.shape, self.dtype)
            for low, high in ((-1., 1.), (0., .5), (0., 0.)):
                gx = kernels.ste_gradient(
                    backend_config.get_array(x),
                    backend_config.get_array(gy), low, high)
                assert_same_bits(gx, reference.ste_gradient(
                    x, gy, low, high))

    def test_ste_gradient_special(self, backend_config):
        pairs = itertools.product(special(self.dtype), special(self.dtype))
        x, gy = numpy.array(list(pairs), self.dtype).T  # not contiguous
        gx = kernels.ste_gradient(
            backend_config.get_array(x), backend_config.get_array(gy))
        assert_same_bits(gx, reference.ste_gradient(x, gy))

    def test_clip(self, backend_config):
        for x in inputs(self.dtype):
            for low, high in ((-1., 1.), (-.25, .75), (0., 1.), (-1., 0.)):
                expected = numpy.array(x)
                reference.clip(expected, low, high)
                actual = backend_config.get_array(numpy.array(x))
                assert kernels.clip(actual, low, high) is None  # in place
                assert_same_bits(actual, expected)

    def test_clip_non_contiguous(self, backend_config):
        base = random((6, 8), self.dtype)
        expected = base.copy()
        reference.clip(expected[1::2, ::3], -.5, .5)
        actual = backend_config.get_array(base.copy())
        kernels.clip(actual[1::2, ::3], -.5, .5)
        assert_same_bits(actual, expected)
        assert (expected[::2] == base[::2]).all()  # the rest stays


@pytest.mark.parametrize('dtype', DTYPES)
class TestReference(object):

    def test_binarize(self, dtype):
        x = numpy.array([-2, -1e-7, -0., 0., 1e-7, 5, numpy.inf, -numpy.inf,
                         numpy.nan], dtype)
        y = reference.binarize(x)
        assert y.dtype == dtype
        assert y.tolist() == [-1, -1, 1, 1, 1, 1, 1, -1, -1]

    def test_ste_gradient(self, dtype):
        inf, nan = numpy.inf, numpy.nan
        x = numpy.array([-1.5, -1, 0, 1, 1.5, inf, -inf, nan, 3, 0], dtype)
        gy = numpy.array([1, 2, 3, 4, 5, 6, 7, 8, inf, inf], dtype)
        gx = reference.ste_gradient(x, gy)
        assert gx.dtype == dtype
        assert gx.tolist() == [0, 2, 3, 4, 0, 0, 0, 0, 0, inf]
        assert reference.ste_gradient(x, gy, -1.5, 1.5).tolist() == [
            1, 2, 3, 4, 5, 0, 0, 0, 0, inf]

    def test_clip(self, dtype):
        x = numpy.array([-3, -1, -.5, .5, 1, 3, numpy.inf, -numpy.inf], dtype)
        reference.clip(x, -1, .75)
        assert x.tolist() == [-1, -1, -.5, .5, .75, .75, .75, -1]

    def test_clip_nan(self, dtype):
        x = numpy.array([numpy.nan, 2], dtype)
        reference.clip(x, -1, 1)
        assert numpy.isnan(x[0])
        assert x[1] == 1


@pytest.mark.parametrize('dtype', [
    numpy.int8, numpy.int32, numpy.uint8, bool, numpy.complex64, object])
def test_wrong_dtype(dtype):
    x = numpy.ones(3, dtype)
    with pytest.raises(TypeError, match='floating point'):
        kernels.binarize(x)
    with pytest.raises(TypeError, match='floating point'):
        kernels.ste_gradient(x, x)
    with pytest.raises(TypeError, match='floating point'):
        kernels.clip(x, -1, 1)


@pytest.mark.parametrize('dtype', DTYPES)
def test_no_warnings(dtype):
    x = special(dtype)
    with warnings.catch_warnings(), numpy.errstate(all='warn'):
        warnings.simplefilter('error')
        kernels.binarize(x)
        kernels.ste_gradient(x, x[::-1])
        kernels.clip(x, -1, 1)


def test_result_is_new():
    x = numpy.array([1., -1.])
    assert not numpy.shares_memory(kernels.binarize(x), x)
    gy = numpy.array([3., 4.])
    assert not numpy.shares_memory(kernels.ste_gradient(x, gy), gy)


@pytest.mark.parametrize('order', '<>')
def test_byte_orders(order):
    x = numpy.array([-2, -0., .5, 2], order + 'f4')
    assert_same_bits(kernels.binarize(x), reference.binarize(x))
    assert_same_bits(kernels.ste_gradient(x, x),
                     reference.ste_gradient(x, x))


testing.run_module(__name__, __file__)
