"""The convolution on k-bit weights."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.utils import type_check

from zoo.binarynet import function_binary_convolution_2d
from zoo.quantized_net import function_quantize
from zoo.quantized_net import function_quantized_convolution_2d

quantized_convolution_2d = (
    function_quantized_convolution_2d.quantized_convolution_2d)
QUANTIZERS = ('dorefa', 'linear')
GEOMETRY = {'stride': (1, 2), 'pad': (2, 1), 'dilate': (2, 1)}


def run(function, *arrays):
    """Returns the value and all gradients, the weights last."""
    variables = [chainer.Variable(a) for a in arrays]
    y = function(*variables)
    y.grad = numpy.linspace(-1, 1, y.size, dtype=y.dtype).reshape(y.shape)
    y.backward()
    return [y.array, *(v.grad for v in variables)]


def arrays_of(dtype, groups, nobias):
    found = [numpy.random.normal(size=(2, 4, 6, 7)),
             numpy.random.normal(size=(6, 4 // groups, 3, 2))]
    found[1][0, 0, 0] = 0, 1
    if not nobias:
        found.append(numpy.random.normal(size=6))
    return [one.astype(dtype) for one in found]


@pytest.mark.parametrize('quantizer', QUANTIZERS)
@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('dtype', [numpy.float32, numpy.float64])
def test_1_and_32_bits(quantizer, groups, dtype):
    """The binary and the float operation."""
    options = {**GEOMETRY, 'groups': groups}
    for nobias in False, True:
        arrays = arrays_of(dtype, groups, nobias)
        for bits, function in (
                (1, function_binary_convolution_2d.binary_convolution_2d),
                (32, F.convolution_2d)):
            for actual, expected in zip(run(
                    lambda x, W, b=None, k=bits: quantized_convolution_2d(
                        x, W, b, bits=k, quantizer=quantizer, **options),
                    *arrays), run(
                    lambda x, W, b=None, f=function: f(x, W, b, **options),
                    *arrays), strict=True):
                assert actual.dtype == dtype
                numpy.testing.assert_allclose(
                    actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('quantizer', QUANTIZERS)
def test_2_bits(quantizer):
    """Value and gradients are those through the quantizer."""
    arrays = arrays_of(numpy.float32, 1, False)
    for actual, expected in zip(run(
            lambda x, W, b: quantized_convolution_2d(
                x, W, b, bits=2, quantizer=quantizer, **GEOMETRY), *arrays),
            run(lambda x, W, b: F.convolution_2d(
                x, function_quantize.quantize(W, 2, quantizer), b,
                **GEOMETRY), *arrays), strict=True):
        numpy.testing.assert_allclose(
            actual, expected, rtol=1e-4, atol=1e-4)


def test_wrong_arguments():
    x, W = numpy.zeros((2, 3, 4, 4), 'f'), numpy.ones((4, 3, 3, 3), 'f')
    for bits in 0, 9, None:
        with pytest.raises(ValueError, match='1 to 8 or 32'):
            quantized_convolution_2d(x, W, bits=bits)
    for bits in 1, 2, 32:
        with pytest.raises(ValueError, match='no quantizer'):
            quantized_convolution_2d(x, W, bits=bits, quantizer='log')
        with pytest.raises(type_check.InvalidType):
            quantized_convolution_2d(x[:, :2], W, bits=bits)
