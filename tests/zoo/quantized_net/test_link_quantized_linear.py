"""The k-bit layer: parameters, laziness, serialization."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import serializers
from chainer.utils import type_check

import function_binary_linear
from zoo.quantized_net import function_quantize
from zoo.quantized_net import link_quantized_linear

QuantizedLinear = link_quantized_linear.QuantizedLinear
QUANTIZERS = ('dorefa', 'linear')


def same_bits(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


def linear(x, W, b, bits, quantizer):
    """The operation in parts."""
    if bits == 1:
        return function_binary_linear.binary_linear(x, W, b)
    return F.linear(function_binary_linear.flatten(x),
                    function_quantize.quantize(W, bits, quantizer), b)


@pytest.mark.parametrize('dtype', ['e', 'f', 'd'])
@pytest.mark.parametrize('shape', [(5, 12), (5, 3, 2, 2), (0, 12)])
def test_forward_and_gradients(dtype, shape):
    for quantizer in QUANTIZERS:
        for bits in 1, 2, 8, 32:
            for nobias in False, True:
                W = numpy.random.normal(size=(4, 12)).astype(dtype)
                W[0, :4] = 0, -0., 1, -1
                with chainer.using_config('dtype', numpy.dtype(dtype)):
                    link = QuantizedLinear(
                        12, 4, bits, quantizer, nobias, W, .5)
                assert link.w_bits == bits
                assert link.quantizer == quantizer
                assert (link.b is None) == nobias
                x = chainer.Variable(
                    numpy.random.normal(size=shape).astype(dtype))
                variables = [x, link.W] + [link.b] * (not nobias)
                found = []
                for function in (link, lambda x, link=link: linear(
                        x, link.W, link.b, link.w_bits, link.quantizer)):
                    y = function(x)
                    assert y.dtype == dtype
                    assert y.shape == (shape[0], 4)
                    found.append([y.array, *(g.array for g in chainer.grad(
                        [F.sum(y ** 2)], variables))])
                for ours, theirs in zip(*found, strict=True):
                    same_bits(ours, theirs)


@pytest.mark.parametrize('bits', [1, 2, 32])
def test_wrong_input(bits):
    for wrong in numpy.zeros((2, 5), 'f'), numpy.zeros((2, 3), 'i'):
        with pytest.raises(type_check.InvalidType):
            QuantizedLinear(3, 4, bits)(wrong)


def test_lazy():
    link = QuantizedLinear(None, 3, 2)
    assert link.W.array is None
    assert link(numpy.ones((2, 1, 5), 'f')).shape == (2, 3)
    assert link.W.shape == (3, 5)
    assert link.in_size == 5


def test_initial_weights():
    W = numpy.arange(6, dtype='f').reshape(2, 3)
    numpy.testing.assert_array_equal(
        QuantizedLinear(3, 2, 2, initialW=W).W.array, W)
    # Of 120000 values the deviation is within 1 % but for 1 in 10^6
    for bits, quantizer, deviation in (
            (2, 'dorefa', 1 / 20), (1, 'linear', 1 / 20),
            (32, 'linear', 1 / 20), (2, 'linear', 3 ** -.5)):
        W = QuantizedLinear(400, 300, bits, quantizer).W.array
        assert abs(W.std() / deviation - 1) < .01


def test_wrong_arguments():
    for args in ((0, 2, 2), (3, 0, 2), (-1, 2, 2), (3, 2, 0), (3, 2, 9),
                 (3, 2, 16), (3, 2, None), (3, 2, 2, 'log'), (None, 0, 2)):
        with pytest.raises(ValueError):
            QuantizedLinear(*args)


def test_serialization(tmp_path):
    x = numpy.random.normal(size=(5, 6)).astype('f')
    for kind in 'npz', 'hdf5':
        link = QuantizedLinear(6, 4, 3)
        path = str(tmp_path / kind)
        getattr(serializers, 'save_' + kind)(path, link)
        for in_size in 6, None:
            other = QuantizedLinear(in_size, 4, 3)
            getattr(serializers, 'load_' + kind)(path, other)
            same_bits(other.W.array, link.W.array)
            same_bits(other(x).array, link(x).array)
    same_bits(link.copy('copy')(x).array, link(x).array)
