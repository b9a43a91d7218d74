"""The optimizer of a configuration: what is clipped, and what decays."""
import types

import chainer
import chainer.links as L
import numpy

import link_binary_linear
from bnn.chainer_ops import adam
from bnn.training.command_line import config as config_module
from zoo import optimizers
from zoo.latent_weights import bop
from zoo.quantized_net import link_quantized_linear
from zoo.xnor_net import link_xnor_block


def make_model():
    """A model with layers of every kind."""
    model = chainer.Chain()
    with model.init_scope():
        model.first = L.Linear(4, 4)
        model.binary = link_binary_linear.BinaryLinear(4, 4)
        model.dorefa = link_quantized_linear.QuantizedLinear(4, 4, 2)
        model.linear = link_quantized_linear.QuantizedLinear(
            4, 4, 3, 'linear')
        model.one_bit = link_quantized_linear.QuantizedLinear(4, 4, 1)
        model.float = link_quantized_linear.QuantizedLinear(4, 4, 32)
        model.norm = L.BatchNormalization(4)
        model.block = link_xnor_block.XNORLinear(4, 4)
    return model


def after_an_update(value, **options):
    """Returns the parameters, all of one value before it, by their names."""
    config = types.SimpleNamespace(**{
        'optimizer': 'sgd', 'clip': 'none', 'min_gamma': 0.,
        'gradient_scale': 1., 'weight_decay': 0., **options})
    model = make_model()
    optimizer = optimizers.make(config, model)
    for param in model.params():
        param.array[...] = value
        param.grad = numpy.zeros_like(param.array)
    optimizer.lr = 1
    optimizer.update()
    return {name: param.array.ravel()[0]
            for name, param in model.namedparams()}


def test_clip(capsys):
    # DoReFa's tanh bounds its own; XNOR-Net's hooks centre the block's.
    latent = {'/binary/W', '/linear/W', '/one_bit/W'}
    assert set(optimizers.latent_weights(make_model())) == latent
    for clip in 'all', 'weights', 'none':
        found = after_an_update(5, clip=clip)
        assert found.pop('/block/linear/W') == 0
        clipped = {name for name, value in found.items() if value == 1}
        assert clipped == {'all': set(found), 'weights': latent,
                           'none': set()}[clip]
        assert all(found[name] == 5 for name in set(found) - clipped)
        error = capsys.readouterr().err
        if clip == 'none':
            assert 'nothing bounds the latent weights /binary/W, ' in error
        else:
            assert error == ''


def test_weights_alone_decay(capsys):
    for name, value in after_an_update(1, weight_decay=.25).items():
        if name != '/block/linear/W':
            assert value == (.75 if name.endswith('/W') else 1), name


def test_kinds(capsys):
    for name, kind in (
            ('adam', adam.Adam), ('sgd', chainer.optimizers.SGD),
            ('momentum', chainer.optimizers.MomentumSGD),
            ('bop', bop.Bop)):
        model = make_model()
        optimizer = optimizers.make(config_module.Config(
            optimizer=name, clip='none', bop_adaptivity=.25,
            bop_threshold=.5), model)
        assert type(optimizer) is kind
        assert optimizer.target is model
        # Bop has no latent weights.
        assert bool(capsys.readouterr().err) == (name != 'bop')
    assert (optimizer.adaptivity, optimizer.threshold) == (.25, .5)
