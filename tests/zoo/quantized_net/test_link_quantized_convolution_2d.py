"""The k-bit convolutional layer: parameters, laziness, serialization."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import serializers
from chainer.utils import type_check

from zoo.binarynet import function_binary_convolution_2d
from zoo.quantized_net import function_quantize
from zoo.quantized_net import link_quantized_convolution_2d

QuantizedConvolution2D = (
    link_quantized_convolution_2d.QuantizedConvolution2D)


def convolution(x, W, b, bits, quantizer, **geometry):
    """The operation in parts, by Chainer where it is not binary."""
    if bits == 1:
        return function_binary_convolution_2d.binary_convolution_2d(
            x, W, b, **geometry)
    return F.convolution_2d(
        x, function_quantize.quantize(W, bits, quantizer), b, **geometry)


@pytest.mark.parametrize('quantizer', ['dorefa', 'linear'])
@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('dtype', ['f', 'd'])
def test_forward_and_gradients(dtype, groups, quantizer):
    geometry = {'stride': (1, 2), 'pad': (2, 1), 'dilate': (2, 1),
                'groups': groups}
    for bits in 1, 2, 8, 32:
        for nobias in False, True:
            W = numpy.random.normal(size=(6, 4 // groups, 3, 2))
            W[0, 0, 0] = 0, 1
            with chainer.using_config('dtype', numpy.dtype(dtype)):
                link = QuantizedConvolution2D(
                    4, 6, (3, 2), bits, quantizer, nobias=nobias,
                    initialW=W.astype(dtype), initial_bias=.5, **geometry)
            assert (link.w_bits, link.quantizer) == (bits, quantizer)
            assert (link.b is None) == nobias
            x = chainer.Variable(
                numpy.random.normal(size=(2, 4, 6, 7)).astype(dtype))
            variables = [x, link.W] + [link.b] * (not nobias)
            found = []
            for y in link(x), convolution(
                    x, link.W, link.b, bits, quantizer, **geometry):
                gy = numpy.linspace(-1, 1, y.size, dtype=dtype)
                found.append([y.array, *(g.array for g in chainer.grad(
                    [y], variables, [chainer.Variable(
                        gy.reshape(y.shape))]))])
            for ours, theirs in zip(*found, strict=True):
                assert ours.dtype == dtype
                numpy.testing.assert_allclose(
                    ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('bits', [1, 2, 32])
def test_wrong_input(bits):
    with pytest.raises(type_check.InvalidType):
        QuantizedConvolution2D(3, 4, 3, bits)(numpy.zeros((2, 2, 4, 4), 'f'))


def test_lazy_and_saved(tmp_path):
    x = numpy.random.normal(size=(2, 5, 4, 4)).astype('f')
    link = QuantizedConvolution2D(None, 3, 3, 2)
    assert link.W.array is None
    y = link(x).array
    assert y.shape == (2, 3, 2, 2)
    path = str(tmp_path / 'link.npz')
    serializers.save_npz(path, link)
    other = QuantizedConvolution2D(5, 3, 3, 2)
    serializers.load_npz(path, other)
    numpy.testing.assert_array_equal(other(x).array, y)


def test_initial_weights():
    for bits, quantizer, deviation in (
            (2, 'dorefa', 1 / 30), (1, 'linear', 1 / 30),
            (32, 'linear', 1 / 30), (2, 'linear', 3 ** -.5)):
        W = QuantizedConvolution2D(100, 130, 3, bits, quantizer).W.array
        assert abs(W.std() / deviation - 1) < .01


def test_wrong_arguments():
    for args in ((0, 2, 3), (3, 0, 3), (3, 2, 3, 0), (3, 2, 3, 9),
                 (3, 2, 3, None), (3, 2, 3, 2, 'log')):
        with pytest.raises(ValueError):
            QuantizedConvolution2D(*args)


def test_specs():
    specs = dict(QuantizedConvolution2D(3, 2, 3, 2).printable_specs)
    assert (specs['bits'], specs['quantizer']) == (2, 'dorefa')
    assert 'pad_value' not in specs
