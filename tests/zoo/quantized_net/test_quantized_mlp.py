"""The k-bit perceptron: at 1 bit the binary one, at 32 a float one."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

import weight_clip
from zoo.binarynet import deep_binary_mlp
from zoo.quantized_net import function_quantize
from zoo.quantized_net import link_quantized_linear
from zoo.quantized_net import qst
from zoo.quantized_net import quantized_mlp

QuantizedMLP = quantized_mlp.QuantizedMLP


def images(n):
    return numpy.random.RandomState(n).uniform(0, 1, (n, 12)).astype('f')


def updated(kind, **kwargs):
    """Returns losses, parameters and scores of a few updates."""
    numpy.random.seed(3)
    model = L.Classifier(kind(16, 3, 12, **kwargs))
    optimizer = chainer.optimizers.Adam(alpha=.05).setup(model)
    for link in model.links():
        if hasattr(link, 'w_bits'):
            link.W.update_rule.add_hook(weight_clip.WeightClip())
    found = []
    for _ in range(8):
        optimizer.update(model, images(20), numpy.arange(20, dtype='i') % 3)
        found += [(name, param.array.tobytes())
                  for name, param in sorted(model.namedparams())]
        found.append(model.loss.array.tobytes())
    with chainer.using_config('train', False):
        found.append(model.predictor(images(7)).array.tobytes())
    return found


def test_one_bit_is_the_binary_net():
    for dropout in 0., .2:
        options = {'dropout_input': dropout, 'dropout_hidden': dropout}
        expected = updated(deep_binary_mlp.DeepBinaryMLP, **options)
        for quantizer in 'dorefa', 'linear':
            assert updated(
                QuantizedMLP, w_bits=1, a_bits=1, quantizer=quantizer,
                **options) == expected


def test_forward():
    """Layer by layer, with the operations."""
    for w_bits, a_bits, quantizer in (
            (2, 2, 'dorefa'), (3, 4, 'linear'), (32, 2, 'dorefa'),
            (1, 3, 'dorefa')):
        model = QuantizedMLP(16, 3, 12, n_layers=3, w_bits=w_bits,
                             a_bits=a_bits, quantizer=quantizer)
        h = x = images(7)
        for i in range(1, 5):
            layer = model[f'l{i}']
            assert type(layer) is link_quantized_linear.QuantizedLinear
            assert (layer.w_bits, layer.quantizer) == (w_bits, quantizer)
            W = function_quantize.quantize(layer.W, w_bits, quantizer)
            h = model[f'b{i}'](F.linear(h, W, layer.b))
            if i < 4:
                h = qst.qst(h, a_bits, quantizer)
        numpy.testing.assert_allclose(
            model(x).array, h.array, rtol=1e-4, atol=1e-5)


def test_defaults():
    model = QuantizedMLP()
    assert [model[name].W.shape for name in ('l1', 'l2', 'l3')] == [
        (1000, 784), (1000, 1000), (10, 1000)]
    assert (model.l1.w_bits, model.a_bits, model.quantizer) == (
        2, 2, 'dorefa')
    # A chain with w_bits would be taken for a layer.
    assert not hasattr(model, 'w_bits')


def test_wrong_bits():
    for bits in {'w_bits': 9}, {'a_bits': 0}, {'quantizer': 'log'}:
        with pytest.raises(ValueError):
            QuantizedMLP(8, **bits)
