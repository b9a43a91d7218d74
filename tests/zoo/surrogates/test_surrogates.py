"""The sign operations: values, slopes by hand, edges, their names."""
import functools
import math

import chainer
import numpy
import pytest
from chainer.utils import type_check

from zoo.surrogates import sign

approx_sign, swish_sign = (
    functools.partial(sign.sign, surrogate=name)
    for name in ('approx-sign', 'swish-sign'))
DTYPES = (numpy.float16, numpy.float32, numpy.float64)


def slope(function, x, gy=1.):
    """Returns the value and the gradient."""
    v = chainer.Variable(x)
    y = function(v)
    y.grad = numpy.full(x.shape, gy, x.dtype)
    y.backward()
    assert y.dtype == v.grad.dtype == x.dtype
    return y.array, v.grad


def test_forward():
    for dtype in DTYPES:
        x = numpy.array([-2, -.1, -0., 0, .1, 2, numpy.nan], dtype)
        for name in sign.GRADIENTS:
            numpy.testing.assert_array_equal(
                sign.sign(x, name).array, [-1, -1, 1, 1, 1, 1, -1])


def test_approx_sign():
    for dtype in DTYPES:
        x = numpy.array([
            0, -0., .5, -.5, .25, 1, -1,
            numpy.nextafter(dtype(1), dtype(2)), 1.5, -3, numpy.inf,
            -numpy.inf, numpy.nan], dtype)
        expected = numpy.array([2, 2, 1, 1, 1.5, 0, 0, 0, 0, 0, 0, 0, 0])
        for gy in 1, -3:
            numpy.testing.assert_array_equal(
                slope(approx_sign, x, gy)[1], gy * expected)


def swish(x, beta=5.):
    """SwishSign, of which swish_sign has the derivative."""
    sigmoid = 1 / (1 + math.exp(-beta * x))
    return 2 * sigmoid * (1 + beta * x * (1 - sigmoid)) - 1


def test_swish_sign():
    for dtype in DTYPES:
        x = numpy.linspace(-2, 2, 81).astype(dtype)
        gx = slope(swish_sign, x)[1]
        numerical = [(swish(v + 1e-5) - swish(v - 1e-5)) / 2e-5
                     for v in x.astype(float)]
        numpy.testing.assert_allclose(
            gx, numerical, atol=1e-7 + 8 * numpy.finfo(dtype).eps)
        assert gx[40] == 5  # beta at 0
        assert gx.min() < -.1  # it overshoots
        far = numpy.array([30, -30, 1e4, -1e4, numpy.inf, -numpy.inf,
                           numpy.nan], dtype)
        numpy.testing.assert_allclose(
            slope(swish_sign, far)[1], 0, atol=1e-25)


def test_double_backward_is_refused():
    for function in approx_sign, swish_sign:
        x, gy = (chainer.Variable(numpy.ones(3, 'f')) for _ in range(2))
        gx, = chainer.grad(
            [function(x)], [x], [gy], enable_double_backprop=True)
        with pytest.raises(NotImplementedError, match='use ste'):
            chainer.grad([gx], [gy])


def test_names():
    assert list(sign.GRADIENTS) == ['ste', 'approx-sign', 'swish-sign']
    x = numpy.array([-1.5, -1, .75, 1, 2], 'f')
    for name, expected in (
            (None, [0, 1, 1, 1, 0]), ('ste', [0, 1, 1, 1, 0]),
            ('approx-sign', [0, 0, .5, 0, 0])):
        function = sign.sign if name is None else (
            lambda x, name=name: sign.sign(x, name))
        numpy.testing.assert_array_equal(slope(function, x)[1], expected)
    assert slope(lambda x: sign.sign(x, 'swish-sign'), x)[1][2] < 0


def test_wrong_arguments():
    for name in 'relu', '', 'STE', None, 'approx_sign':
        with pytest.raises(ValueError) as e:
            sign.sign(numpy.zeros(3, 'f'), name)
        for word in repr(name), 'ste', 'approx-sign', 'swish-sign':
            assert word in str(e.value)
    for name in sign.GRADIENTS:
        with pytest.raises(type_check.InvalidType):
            sign.sign(numpy.ones(3, 'i'), name)
