"""The shallow net: the seed's layers, its weights, what it computes."""
import itertools

import chainer
import numpy

from zoo.binary_neural_networks import shallow_convnet

ShallowConvNet = shallow_convnet.ShallowConvNet


def table(weights, n_out=10):
    return {
        'conv1': ((50, 3, 3, 3), 1, 1, weights),
        'conv2': ((100, 50, 3, 3), 1, 1, weights),
        'conv3': ((200, 100, 3, 3), 1, 1, weights),
        'l4': ((500, 3200), 1, 0, weights),
        'l5': ((n_out, 500), 1, 0, weights)}


def test_layers(layer_table):
    assert layer_table(ShallowConvNet()) == table('sign')
    assert not ShallowConvNet().batch_norm
    for binary, batch_norm, n_out in itertools.product(
            (True, False), (True, False), (10, 4)):
        model = ShallowConvNet(n_out, binary, batch_norm=batch_norm)
        assert layer_table(model) == table(
            'sign' if binary else 'float', n_out)
        assert {link.name: link.avg_mean.shape for link in model.children()
                if hasattr(link, 'avg_mean')} == (
            {'b1': (50,), 'b2': (100,), 'b3': (200,), 'b4': (500,),
             'b5': (n_out,)} if batch_norm else {})


def test_initial_weights():
    for binary in True, False:
        for link in ShallowConvNet(binary=binary).children():
            W = link.W.array.astype('d')
            # N(0, 2/n): five standard errors of the mean and the variance
            n = W[0].size
            assert abs(W.mean()) < 5 * (2 / n / W.size) ** .5
            assert abs(W.var() * n / 2 - 1) < 5 * (2 / W.size) ** .5
            assert (link.b.array == 0).all()


def test_stochastic():
    x = numpy.random.uniform(0, 1, (1, 3, 32, 32)).astype('f')
    for stochastic in True, False:
        model = ShallowConvNet(stochastic=stochastic)
        assert numpy.array_equal(
            model(x).array, model(x).array) != stochastic
        with chainer.using_config('train', False):
            numpy.testing.assert_array_equal(model(x).array, model(x).array)


def test_forward(reference):
    x = numpy.random.uniform(0, 1, (2, 3, 32, 32))
    for binary, batch_norm in itertools.product((True, False), repeat=2):
        with chainer.using_config('dtype', numpy.float64):
            model = ShallowConvNet(3, binary, batch_norm=batch_norm)
        reference.disturb(model)
        h = x
        for i, name in enumerate(('conv1', 'conv2', 'conv3', 'l4', 'l5'), 1):
            W, b = model[name].W.array, model[name].b
            W = reference.sign(W) if binary else W
            if i < 4:
                h = reference.convolution(h, W, b, pad=1)
            else:
                h = reference.linear(h, W, b)
            if batch_norm:
                h = reference.normalize(model[f'b{i}'], h, 2e-5)
            if i < 5:
                h = numpy.maximum(h, 0)
            if i < 4:
                h = reference.pool(h, numpy.max, 2)
        with chainer.using_config('train', False):
            numpy.testing.assert_allclose(model(x).array, h, rtol=1e-8)
