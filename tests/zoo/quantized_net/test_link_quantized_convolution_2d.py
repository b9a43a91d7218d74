"""The k-bit convolutional layer: parameters, laziness, serialization."""
import chainer.functions as F
import numpy
import pytest
from chainer import serializers

from zoo.quantized_net import function_quantized_convolution_2d
from zoo.quantized_net import link_quantized_convolution_2d

QuantizedConvolution2D = (
    link_quantized_convolution_2d.QuantizedConvolution2D)


@pytest.mark.parametrize('quantizer', ['dorefa', 'linear'])
def test_forward(quantizer):
    x = numpy.random.normal(size=(2, 4, 6, 7)).astype('f')
    for bits in 1, 2, 8, 32:
        for nobias in False, True:
            link = QuantizedConvolution2D(
                4, 6, (3, 2), bits, quantizer, (1, 2), 1, nobias,
                initial_bias=.5, groups=2)
            assert link.W.shape == (6, 2, 3, 2)
            assert (link.w_bits, link.quantizer) == (bits, quantizer)
            y = link(x)
            numpy.testing.assert_array_equal(
                y.array,
                function_quantized_convolution_2d.quantized_convolution_2d(
                    x, link.W, link.b, (1, 2), 1, groups=2, bits=bits,
                    quantizer=quantizer).array)
            link.cleargrads()
            F.sum(y).backward()
            assert abs(link.W.grad).max() > 0
            assert (link.b is None) == nobias
            if not nobias:
                assert link.b.array.tolist() == [.5] * 6


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
