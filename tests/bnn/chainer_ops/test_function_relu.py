"""ReLU: Chainer's, bit for bit, in one pass."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

from bnn.chainer_ops import function_relu


def both(x, gy):
    """Results and gradients of ours and of Chainer's."""
    results = []
    for relu in function_relu.relu, F.relu:
        v = chainer.Variable(x)
        y = relu(v)
        y.grad = gy
        with numpy.errstate(invalid='ignore'):
            y.backward()
        results.append((y.array, v.grad, y.creator))
    return results


def test_chainers_bits():
    inf, nan = numpy.inf, numpy.nan
    edges = numpy.array([-2, -0., 0., 3, inf, -inf, nan, -1, 1, -1])
    edge_gy = numpy.array([1, 2, -3, 4, 5, 6, 7, inf, nan, nan])
    for dtype in numpy.float16, numpy.float32, numpy.float64:
        x, gy = numpy.random.standard_normal((2, 300, 301)).astype(dtype)
        for v, g in ((x, gy), (x[::2, ::3], gy[::2, ::3]), (x.T, gy.T),
                     (x[:0], gy[:0]), (edges.astype(dtype),
                                       edge_gy.astype(dtype))):
            ours, chainers = both(v, g)
            assert isinstance(ours[2], function_relu.ReLU) == (
                dtype != numpy.float16)
            for a, b in zip(ours[:2], chainers[:2], strict=True):
                assert a.dtype == dtype
                numpy.testing.assert_array_equal(a, b)


def test_double_backward():
    x = numpy.random.uniform(.1, 1, (4, 5)) * numpy.random.choice(
        [-1, 1], (4, 5))
    gy, ggx = numpy.random.standard_normal((2, 4, 5))
    gradient_check.check_backward(function_relu.relu, x, gy, dtype='d')
    gradient_check.check_double_backward(
        function_relu.relu, x, gy, ggx, dtype='d')


def test_bad_types():
    with pytest.raises(type_check.InvalidType):
        function_relu.relu(numpy.zeros((2, 3), int))
