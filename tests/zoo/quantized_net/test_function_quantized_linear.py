"""The linear operation on k-bit weights."""
import itertools

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.utils import type_check

import function_binary_linear
from zoo.quantized_net import function_quantize
from zoo.quantized_net import function_quantized_linear

quantized_linear = function_quantized_linear.quantized_linear
DTYPES = (numpy.float16, numpy.float32, numpy.float64)
QUANTIZERS = ('dorefa', 'linear')


def run(function, x, W, b, gy):
    """Returns the value and all gradients."""
    variables = [chainer.Variable(a) for a in (x, W, b) if a is not None]
    y = function(*variables)
    y.grad = gy
    y.backward()
    return [y.array, *(v.grad for v in variables)]


def cases():
    """Yields a quantizer and arrays x, W, b, gy."""
    for dtype, shape, nobias, quantizer in itertools.product(
            DTYPES, [(5, 12), (5, 3, 2, 2), (0, 12)], [False, True],
            QUANTIZERS):
        W = numpy.random.normal(size=(4, 12))
        W[0, :4] = 0, -0., 1, -1
        arrays = (numpy.random.normal(size=shape), W,
                  None if nobias else numpy.random.normal(size=4),
                  numpy.random.normal(size=(shape[0], 4)))
        yield quantizer, [a if a is None else a.astype(dtype) for a in arrays]


def ours(bits, quantizer):
    return lambda x, W, b=None: quantized_linear(x, W, b, bits, quantizer)


def test_1_and_32_bits():
    """The binary and the float operation, bit for bit."""
    def float_linear(x, W, b=None):
        return F.linear(function_binary_linear.flatten(x), W, b)

    for quantizer, arrays in cases():
        for bits, function in ((1, function_binary_linear.binary_linear),
                               (32, float_linear)):
            for actual, expected in zip(
                    run(ours(bits, quantizer), *arrays),
                    run(function, *arrays), strict=True):
                assert actual.dtype == expected.dtype == arrays[0].dtype
                assert actual.shape == expected.shape
                assert actual.tobytes() == expected.tobytes()


def test_2_bits():
    for quantizer, arrays in cases():
        W_q = function_quantize.quantize(arrays[1], 2, quantizer).array
        y, gx, gW = run(ours(2, quantizer), *arrays)[:3]
        tol = 5e-2 if arrays[0].dtype == numpy.float16 else 1e-5
        x, W, b, gy = (
            a if a is None else a.astype(float) for a in arrays)
        x = x.reshape(len(x), 12)
        numpy.testing.assert_allclose(
            y, x.dot(W_q.T) + (0 if b is None else b), rtol=tol, atol=tol)
        numpy.testing.assert_allclose(
            gx.reshape(x.shape), gy.dot(W_q), rtol=tol, atol=tol)
        if quantizer == 'linear':
            numpy.testing.assert_allclose(
                gW, numpy.where(abs(W) <= 1, gy.T.dot(x), 0), rtol=tol,
                atol=tol)


def test_wrong_arguments():
    x, W = numpy.zeros((2, 3), 'f'), numpy.ones((4, 3), 'f')
    for quantizer in QUANTIZERS:
        for bits in 0, 9, -1, 16, None:
            with pytest.raises(ValueError, match='1 to 8 or 32'):
                quantized_linear(x, W, None, bits, quantizer)
    for bits in 1, 2, 32:
        with pytest.raises(ValueError, match='no quantizer'):
            quantized_linear(x, W, None, bits, 'log')
        for wrong_x, b in ((numpy.zeros((2, 5), 'f'), None),
                           (numpy.zeros((2, 3), 'i'), None),
                           (x, numpy.zeros(5, 'f'))):
            with pytest.raises(type_check.InvalidType):
                quantized_linear(wrong_x, W, b, bits)
