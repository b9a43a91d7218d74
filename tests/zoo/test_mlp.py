"""The perceptrons: layers at any depth, options, initial weights."""
import chainer
import chainer.links as L
import numpy
import pytest

import link_binary_linear
from zoo import mlp
from zoo.binary_neural_networks import binary_weight_mlp
from zoo.binary_neural_networks import float_mlp
from zoo.binarynet import deep_binary_mlp
from zoo.binarynet import link_stochastic_linear

BinaryWeightMLP = binary_weight_mlp.BinaryWeightMLP
FloatMLP = float_mlp.FloatMLP


def images(*shape):
    return numpy.random.uniform(0, 1, shape).astype('f')


def test_layers():
    for n_layers, batch_norm in (1, True), (2, False), (4, True):
        model = mlp.MLP(6, 3, 12, n_layers, batch_norm)
        expected = {f'/l{i}/W': (6, 6) for i in range(2, n_layers + 1)}
        expected |= {'/l1/W': (6, 12), f'/l{n_layers + 1}/W': (3, 6)}
        assert {name: param.shape for name, param in model.namedparams()
                if name.endswith('/W')} == expected
        assert {link.name: link.avg_mean.size for link in model.children()
                if isinstance(link, L.BatchNormalization)} == (
            {f'b{i}': 6 if i <= n_layers else 3
             for i in range(1, n_layers + 2)} if batch_norm else {})
        assert model(images(5, 3, 2, 2)).shape == (5, 3)


def test_default_sizes():
    model = FloatMLP()
    assert [link.W.shape for link in (model.l1, model.l2, model.l3)] == [
        (2048, 784), (2048, 2048), (10, 2048)]
    assert BinaryWeightMLP(n_layers=1).l1.W.shape == (2048, 784)


def test_forward(reference):
    for kind in FloatMLP, BinaryWeightMLP:
        for batch_norm in True, False:
            with chainer.using_config('dtype', numpy.float64):
                model = kind(5, 3, 8, n_layers=3, batch_norm=batch_norm)
            reference.disturb(model)
            x = h = numpy.random.uniform(0, 1, (4, 2, 2, 2))
            for i in range(1, 5):
                W, b = model[f'l{i}'].W.array, model[f'l{i}'].b
                h = reference.linear(
                    h, W if kind is FloatMLP else reference.sign(W), b)
                if batch_norm:
                    h = reference.normalize(model[f'b{i}'], h, 2e-5)
                if i < 4:
                    h = numpy.maximum(h, 0)
            with chainer.using_config('train', False):
                numpy.testing.assert_allclose(
                    model(x).array, h, rtol=1e-10, atol=1e-12)


def test_initial_weights():
    for kind, variance in (
            (FloatMLP, 2), (BinaryWeightMLP, 2),
            (deep_binary_mlp.DeepBinaryMLP, 1)):
        W = kind(300, n_layers=1).l1.W.array.astype('d')
        # Five standard errors of the variance
        assert abs(W.var() * 784 / variance - 1) < 5 * (2 / W.size) ** .5


def test_stochastic():
    for kind in BinaryWeightMLP, deep_binary_mlp.DeepBinaryMLP:
        plain, drawn = kind(8, 3, 12), kind(8, 3, 12, stochastic=True)
        assert type(plain.l2) is link_binary_linear.BinaryLinear
        assert type(drawn.l2) is link_stochastic_linear.StochasticLinear
        x = images(6, 12)
        assert (drawn(x).array != drawn(x).array).any()
        with chainer.using_config('train', False):
            numpy.testing.assert_array_equal(drawn(x).array, drawn(x).array)


class Inputs(chainer.LinkHook):
    """Keeps what each linear layer got."""

    def __init__(self):
        self.seen = {}

    def forward_preprocess(self, args):
        if args.link.name in ('l1', 'l2', 'l3'):
            self.seen[args.link.name] = chainer.as_array(args.args[0])


def test_dropout():
    for kind in FloatMLP, deep_binary_mlp.DeepBinaryMLP:
        model = kind(400, 3, 1000, dropout_input=.25, dropout_hidden=.5)
        x = images(3, 1000) + 1
        with Inputs() as inputs:
            model(x)
        # Five standard deviations of the share of dropped inputs
        assert abs((inputs.seen['l1'] == 0).mean() - .25) < .04
        numpy.testing.assert_allclose(
            inputs.seen['l1'][inputs.seen['l1'] != 0],
            (x / .75)[inputs.seen['l1'] != 0], rtol=1e-6)
        if kind is not FloatMLP:
            for name in 'l2', 'l3':
                assert set(inputs.seen[name].ravel()) == {-2, 0, 2}
                assert abs((inputs.seen[name] == 0).mean() - .5) < .08
        state = numpy.random.get_state()[1].copy()
        with Inputs() as inputs, chainer.using_config('train', False):
            model(x)
        numpy.testing.assert_array_equal(inputs.seen['l1'], x)
        numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)


def test_wrong_sizes():
    for sizes in {'n_units': 0}, {'n_out': 0}, {'n_in': -1}:
        with pytest.raises(ValueError, match='positive'):
            BinaryWeightMLP(**{'n_units': 2, **sizes})
