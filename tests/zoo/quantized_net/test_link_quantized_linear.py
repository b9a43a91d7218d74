"""The k-bit layer: parameters, laziness, serialization."""
import chainer.functions as F
import numpy
import pytest
from chainer import serializers

from zoo.quantized_net import function_quantized_linear
from zoo.quantized_net import link_quantized_linear

QuantizedLinear = link_quantized_linear.QuantizedLinear
QUANTIZERS = ('dorefa', 'linear')


def same_bits(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


def test_forward():
    x = numpy.random.normal(size=(5, 3, 2, 2)).astype('f')
    for quantizer in QUANTIZERS:
        for bits in 1, 2, 8, 32:
            for nobias in False, True:
                link = QuantizedLinear(
                    12, 4, bits, quantizer, nobias, initial_bias=.5)
                assert link.W.shape == (4, 12)
                assert link.w_bits == bits
                assert link.quantizer == quantizer
                y = link(x)
                same_bits(
                    y.array, function_quantized_linear.quantized_linear(
                        x, link.W, link.b, bits, quantizer).array)
                link.cleargrads()
                F.sum(y).backward()
                assert link.W.grad.shape == link.W.shape
                if nobias:
                    assert link.b is None
                else:
                    assert link.b.array.tolist() == [.5] * 4
                    assert link.b.grad.tolist() == [5] * 4


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
