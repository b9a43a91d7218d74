"""The precision of the backward pass, of each operation that has one."""
import chainer
import numpy
import pytest

import function_binary_linear
from bnn.chainer_ops import function_convolution_2d
from bnn.chainer_ops import precision
from bnn.kernels import reference
from zoo.binarynet import function_binary_convolution_2d
from zoo.xnor_net import function_scaled_binarize
from zoo.xnor_net import function_scaled_linear

ONES, NONE = (1, 1), (0, 0)


def draw(*shape, dtype='f'):
    return numpy.random.standard_normal(shape).astype(dtype)


def gradients(operation, x, W, gy, bits):
    x, W = chainer.Variable(x), chainer.Variable(W)
    with chainer.using_config('precision', bits):
        y = operation(x, W)
        y.grad = gy
        y.backward()
    return x.grad, W.grad


def scaled_gradient(W, g):
    """Gradient of latent weights, of that of the scaled signs."""
    v = chainer.Variable(W)
    y = function_scaled_binarize.scaled_binarize(v)
    y.grad = g
    y.backward()
    return v.grad


def linear(x, W, gy, bits):
    return (reference.multiply_rounded(gy, reference.binarize(W))
            if bits == 'bfloat16' else gy @ reference.binarize(W),
            reference.weight_gradient(gy, x, bits))


def scaled_linear(x, W, gy, bits):
    gx, gW = linear(x, W, gy * abs(W).mean(axis=1), bits)
    return gx, scaled_gradient(W, reference.weight_gradient(gy, x, bits))


def convolution(x, W, gy, bits, scale=None):
    return (reference.input_gradient(
        gy, W, ONES, NONE, ONES, x.shape[2:], scale, bits),
        reference.filter_gradient(
            x, gy, ONES, NONE, ONES, W.shape[2:], bits)[0])


def binary_convolution(x, W, gy, bits):
    return convolution(x, reference.binarize(W), gy, bits)


def scaled_convolution(x, W, gy, bits):
    scale = abs(W).mean(axis=(1, 2, 3))
    gx, g = convolution(
        x, reference.binarize(W) * scale[:, None, None, None], gy, bits,
        scale)
    return gx, scaled_gradient(W, g)


OPERATIONS = {
    'linear': (function_binary_linear.binary_linear, linear),
    'scaled linear': (function_scaled_linear.scaled_linear, scaled_linear),
    'convolution': (function_convolution_2d.convolution_2d, convolution),
    'binary convolution': (
        function_binary_convolution_2d.binary_convolution_2d,
        binary_convolution),
    'scaled convolution': (
        lambda x, W: function_binary_convolution_2d.binary_convolution_2d(
            x, W, binarize=function_scaled_binarize.scaled_binarize),
        scaled_convolution)}


@pytest.mark.parametrize('name', OPERATIONS)
def test_definition(name):
    operation, definition = OPERATIONS[name]
    for of_signs in False, True:
        x, W, gy = (
            [draw(6, 40), draw(9, 40), draw(6, 9)] if 'linear' in name else
            [draw(3, 5, 9, 8), draw(4, 5, 3, 3), draw(3, 4, 7, 6)])
        if of_signs:
            x = reference.binarize(x)
        found = {}
        for bits in 'float32', 'bfloat16':
            found[bits] = gradients(operation, x, W, gy, bits)
            for one, other in zip(
                    found[bits], definition(x, W, gy, bits), strict=True):
                numpy.testing.assert_allclose(one, other, rtol=0, atol=5e-5)
        for one, other in zip(*found.values(), strict=True):
            assert 1e-4 < abs(one - other).max() < .1


@pytest.mark.parametrize('dtype', [numpy.float16, numpy.float64])
@pytest.mark.parametrize('name', OPERATIONS)
def test_other_dtypes_are_not_rounded(name, dtype):
    operation, _ = OPERATIONS[name]
    arrays = [draw(*shape, dtype=dtype) for shape in (
        ((6, 40), (9, 40), (6, 9)) if 'linear' in name else
        ((3, 5, 9, 8), (4, 5, 3, 3), (3, 4, 7, 6)))]
    for one, other in zip(
            gradients(operation, *arrays, 'float32'),
            gradients(operation, *arrays, 'bfloat16'), strict=True):
        numpy.testing.assert_array_equal(one, other)


def test_layers_are_exact_by_default():
    assert precision.get() == 'float32'
    with chainer.using_config('precision', 'bfloat16'):
        assert precision.get() == 'bfloat16'
