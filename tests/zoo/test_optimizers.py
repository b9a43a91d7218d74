"""The optimizer of a configuration, and the hooks of the nets."""
import chainer
import chainer.links as L
import numpy

import net
from bnn.chainer_ops import adam
from bnn.chainer_ops import momentum_sgd
from bnn.training.command_line import config
from zoo import optimizers
from zoo.binary_neural_networks import float_mlp
from zoo.latent_weights import bop
from zoo.quantized_net import quantized_mlp
from zoo.xnor_net import lenet5


def make(predictor, **settings):
    model = L.Classifier(predictor)
    return optimizers.make(config.Config(**settings), model), model


def arrays_after(optimizer, model, value, grad):
    """Returns all parameters, once ``value``, after an update."""
    params = {name: param for name, param in model.predictor.namedparams()
              if param.array is not None}
    for param in params.values():
        param.array[...] = value
        param.grad = numpy.full_like(param.array, grad)
    optimizer.update()
    return {name: param.array for name, param in params.items()}


def test_kinds():
    for name, kind in (
            ('adam', adam.Adam), ('sgd', chainer.optimizers.SGD),
            ('momentum', momentum_sgd.MomentumSGD), ('bop', bop.Bop)):
        optimizer, model = make(net.BinaryMLP(3), optimizer=name)
        assert type(optimizer) is kind
        assert optimizer.target is model


def test_weights_alone_decay():
    for predictor in (float_mlp.FloatMLP(3), net.BinaryMLP(3),
                      quantized_mlp.QuantizedMLP(3)):
        optimizer, model = make(
            predictor, optimizer='sgd', weight_decay=.25)
        optimizer.lr = 1.
        found = arrays_after(optimizer, model, 1, 0)
        assert any(name.endswith('beta') for name in found)
        for name, array in found.items():
            numpy.testing.assert_array_equal(
                array, .75 if name.endswith('W') else 1, name)


def test_what_is_clipped():
    """All, or the latent weights that need it; a warning where none is."""
    for clip, clipped in (
            ('all', {'/l1/W', '/l1/b', '/b1/gamma', '/b1/beta'}),
            ('weights', {'/l1/W'})):
        optimizer, model = make(
            net.BinaryMLP(3), optimizer='sgd', clip=clip)
        optimizer.lr = 1.
        for name, array in arrays_after(optimizer, model, 5, -1).items():
            if '1' in name:
                numpy.testing.assert_array_equal(
                    array, 1 if name in clipped else 6, name)


def test_latent_weights():
    assert list(optimizers.latent_weights(net.BinaryMLP(3))) == [
        '/l1/W', '/l2/W', '/l3/W']
    assert optimizers.latent_weights(float_mlp.FloatMLP(3)) == {}
    for quantizer, names in ('dorefa', []), ('linear', ['/l1/W', '/l2/W']):
        found = optimizers.latent_weights(
            quantized_mlp.QuantizedMLP(3, quantizer=quantizer))
        assert list(found)[:2] == names
    # XNOR-Net's hooks clamp the scaled ones.
    assert optimizers.latent_weights(lenet5.LeNet5()) == {}


def test_warning(capsys):
    make(net.BinaryMLP(3), clip='none')
    line = capsys.readouterr().err
    assert line.startswith('warning: nothing bounds the latent weights ')
    assert line.count('\n') == 1
    for word in '/predictor/l1/W', '/predictor/l3/W', '--clip weights':
        assert word in line
    for predictor, settings in (
            (net.BinaryMLP(3), {}), (float_mlp.FloatMLP(3), {'clip': 'none'}),
            (net.BinaryMLP(3), {'clip': 'none', 'optimizer': 'bop'})):
        make(predictor, **settings)
        assert capsys.readouterr().err == ''


def test_options():
    optimizer, _ = make(net.BinaryMLP(3), optimizer='bop',
                        bop_adaptivity=.25, bop_threshold=.5)
    assert (optimizer.adaptivity, optimizer.threshold) == (.25, .5)
