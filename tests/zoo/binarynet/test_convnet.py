"""BinaryNet's ConvNet: layers, kinds, order, padding."""
import chainer
import numpy
import pytest

from zoo.binarynet import convnet
from zoo.binarynet import link_stochastic_linear

ConvNet = convnet.ConvNet
WEIGHTS = {'binary': 'sign', 'binary-weight': 'sign', 'float': 'float'}


def table(weights):
    return {
        'conv1': ((128, 3, 3, 3), 1, 1, weights),
        'conv2': ((128, 128, 3, 3), 1, 1, weights),
        'conv3': ((256, 128, 3, 3), 1, 1, weights),
        'conv4': ((256, 256, 3, 3), 1, 1, weights),
        'conv5': ((512, 256, 3, 3), 1, 1, weights),
        'conv6': ((512, 512, 3, 3), 1, 1, weights),
        'l7': ((1024, 8192), 1, 0, weights),
        'l8': ((1024, 1024), 1, 0, weights),
        'l9': ((10, 1024), 1, 0, weights)}


def test_layers(layer_table):
    sizes = 128, 128, 256, 256, 512, 512, 1024, 1024, 10
    for kind, weights in WEIGHTS.items():
        model = ConvNet(kind=kind)
        assert layer_table(model) == table(weights)
        for i, size in enumerate(sizes, 1):
            bn = model[f'b{i}']
            assert bn.gamma.shape == bn.avg_mean.shape == (size,)
            assert bn.eps == 1e-4
        assert len(list(model.children())) == 18


def test_width(layer_table):
    rows = layer_table(ConvNet(4, width=2))
    assert [row[0] for row in rows.values()] == [
        (2, 3, 3, 3), (2, 2, 3, 3), (4, 2, 3, 3), (4, 4, 3, 3), (8, 4, 3, 3),
        (8, 8, 3, 3), (16, 128), (16, 16), (4, 16)]


def test_kinds():
    assert ConvNet(width=1).kind == 'binary'
    with pytest.raises(ValueError, match="no kind 'xnor'; there are: binary"):
        ConvNet(kind='xnor')


def test_initial_weights():
    for kind in WEIGHTS:
        model = ConvNet(kind=kind, width=32)
        variance = 1 if kind == 'binary' else 2
        for name in 'conv2', 'conv6', 'l7', 'l8':
            W = model[name].W.array.astype('d')
            assert abs(W.var() * W[0].size / variance - 1) < (
                5 * (2 / W.size) ** .5)
            assert (model[name].b.array == 0).all()


def test_options_reach_the_layers():
    for kind in 'binary', 'binary-weight':
        model = ConvNet(kind=kind, width=1, pad_value=1, stochastic=True)
        for i in range(1, 7):
            conv = model[f'conv{i}']
            assert conv.stochastic
            # The image's padding is 0, and that of what ReLU gives.
            assert conv.options['pad_value'] == (kind == 'binary' and i > 1)
        for i in range(7, 10):
            assert type(model[f'l{i}']) is (
                link_stochastic_linear.StochasticLinear)


def test_surrogate():
    grads = []
    x = numpy.random.normal(0, 1, (4, 3, 32, 32)).astype('f')
    for surrogate in 'ste', 'approx-sign':
        numpy.random.seed(0)
        model = ConvNet(width=2, surrogate=surrogate)
        model.cleargrads()
        chainer.functions.sum(model(x) ** 3).backward()
        grads.append(model.conv1.W.grad)
    assert abs(grads[0] - grads[1]).max() > 1e-3 * abs(grads[0]).max()


def test_forward(reference):
    x = numpy.random.normal(0, 1, (2, 3, 32, 32))
    for kind, pad_value in (('binary', 0), ('binary', 1),
                            ('binary-weight', 1), ('float', 1)):
        with chainer.using_config('dtype', numpy.float64):
            model = ConvNet(3, kind, width=2, pad_value=pad_value)
        reference.disturb(model)
        h = x
        for i, name in enumerate(table(None), 1):
            W, b = model[name].W.array, model[name].b
            W = W if kind == 'float' else reference.sign(W)
            if i < 7:
                h = reference.convolution(
                    h, W, b, pad=1,
                    pad_value=pad_value if kind == 'binary' and i > 1 else 0)
            else:
                h = reference.linear(h, W, b)
            if i in (2, 4, 6):
                h = reference.pool(h, numpy.max, 2)
            h = reference.normalize(model[f'b{i}'], h)
            if i < 9:
                h = (reference.sign(h) if kind == 'binary'
                     else numpy.maximum(h, 0))
        with chainer.using_config('train', False):
            numpy.testing.assert_allclose(model(x).array, h, rtol=1e-8)
