"""The linear operation on scaled signs, of floats and of signs."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.utils import type_check

from zoo.xnor_net import function_scaled_binarize
from zoo.xnor_net import function_scaled_linear

scaled_linear = function_scaled_linear.scaled_linear
scaled_binarize = function_scaled_binarize.scaled_binarize
TOLERANCES = {numpy.float16: 3e-2, numpy.float32: 1e-5, numpy.float64: 1e-12}


def random(*shape, dtype=numpy.float64, size=2):
    return numpy.random.uniform(-size, size, shape).astype(dtype)


def run(function, arrays, gy):
    """Returns the result and all gradients."""
    variables = [chainer.Variable(a) for a in arrays]
    y = function(*variables)
    y.grad = gy
    y.backward()
    return [y.array, *(v.grad for v in variables)]


def test_by_hand():
    x = numpy.array([[1., 2., -4.]])
    W = numpy.array([[3., -1., 2.], [0., -.5, .25]])  # alpha: 2 and 1/4
    y = scaled_linear(x, W, numpy.array([1., -1.]))
    numpy.testing.assert_array_equal(
        y.array, [[2 * (1 - 2 - 4) + 1, (1 - 2 - 4) / 4 - 1]])


def test_against_the_linear_operation():
    """Chainer's on the scaled signs, value and gradients."""
    for dtype, tolerance in TOLERANCES.items():
        for nobias in True, False:
            for straight_through in True, False:
                for of_signs in True, False:
                    x = random(5, 3, 2, 2, dtype=dtype)
                    if of_signs:
                        x = numpy.where(x < 0, -1, 1).astype(dtype)
                    arrays = [x, random(4, 12, dtype=dtype)]
                    if not nobias:
                        arrays.append(random(4, dtype=dtype))
                    gy = random(5, 4, dtype=dtype)

                    def ours(x, W, b=None, flag=straight_through):
                        return scaled_linear(x, W, b, flag)

                    def chainers(x, W, b=None, flag=straight_through):
                        return F.linear(x, scaled_binarize(W, flag), b)

                    for actual, expected in zip(
                            run(ours, arrays, gy),
                            run(chainers, arrays, gy), strict=True):
                        assert actual.dtype == dtype
                        assert actual.shape == expected.shape
                        numpy.testing.assert_allclose(
                            actual, expected, rtol=tolerance,
                            atol=4 * tolerance)


def test_large_products_of_signs():
    """They go by packed bits, and are exact."""
    x = numpy.where(random(40, 300) < 0, -1, 1).astype('f')
    W = random(50, 300, dtype='f')
    numpy.testing.assert_array_equal(
        scaled_linear(x, W).array,
        x.dot(numpy.where(W < 0, -1, 1).astype('f').T)
        * abs(scaled_binarize(W).array[:, 0]))


def test_double_backward():
    def second_order(function, W):
        x, W, gy = map(chainer.Variable, (arrays[0], W, arrays[1]))
        first = chainer.grad([function(x, W)], [x], [gy],
                             enable_double_backprop=True)
        total = sum(F.sum(g * g) for g in first)
        return chainer.grad([total], [gy])[0].array

    W, arrays = random(4, 6), (random(3, 6), random(3, 4))
    numpy.testing.assert_allclose(
        second_order(scaled_linear, W),
        second_order(F.linear, scaled_binarize(W).array), rtol=1e-10)


@pytest.mark.parametrize('shapes,dtypes', [
    (((2, 4), (3, 4)), 'if'), (((2, 4), (3, 4)), 'fi'),
    (((2, 4), (3, 4)), 'fd'), (((2, 4), (3, 5)), 'ff'),
    (((2, 4), (3, 4, 1)), 'ff'), (((2, 4), (3, 4), (4,)), 'fff'),
    (((2, 4), (3, 4), (3,)), 'ffi')])
def test_wrong_arguments(shapes, dtypes):
    with pytest.raises(type_check.InvalidType):
        scaled_linear(*(numpy.ones(shape, dtype) for shape, dtype in zip(
            shapes, dtypes, strict=True)))
