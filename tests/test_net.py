"""The nets: names, shapes, what flows through."""
import unittest

import chainer
import chainer.links as L
import numpy
import pytest
from chainer import testing

import bst
import link_binary_linear
import net


@pytest.fixture
def model():
    return net.BinaryMLP(n_units=8, n_out=3, n_in=784)


def test_layers(model):
    assert {link.name for link in model.children()} == {
        'l1', 'b1', 'l2', 'b2', 'l3', 'b3'}
    for name in ('l1', 'l2', 'l3'):
        assert isinstance(model[name], link_binary_linear.BinaryLinear)
    for name in ('b1', 'b2', 'b3'):
        assert isinstance(model[name], L.BatchNormalization)
    assert {name: param.shape for name, param in model.namedparams()} == {
        '/l1/W': (8, 784), '/l1/b': (8,), '/b1/gamma': (8,),
        '/b1/beta': (8,), '/l2/W': (8, 8), '/l2/b': (8,),
        '/b2/gamma': (8,), '/b2/beta': (8,), '/l3/W': (3, 8),
        '/l3/b': (3,), '/b3/gamma': (3,), '/b3/beta': (3,)}


def test_default_sizes():
    model = net.BinaryMLP()
    assert model.l1.W.shape == (1000, 784)
    assert model.l2.W.shape == (1000, 1000)
    assert model.l3.W.shape == (10, 1000)


@pytest.mark.parametrize('shape,train', [
    ((5, 784), True), ((5, 784), False), ((5, 1, 28, 28), True),
    ((5, 1, 28, 28), False), ((1, 1, 28, 28), False)])
def test_output(model, shape, train):
    x = numpy.random.uniform(0, 1, shape).astype(numpy.float32)
    with chainer.using_config('train', train):
        y = model(x)
    assert y.shape == (len(x), 3)
    assert y.dtype == numpy.float32


def test_image_and_vector_are_the_same(model):
    x = numpy.random.uniform(0, 1, (5, 1, 28, 28)).astype(numpy.float32)
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(
            model(x).array, model(x.reshape(5, 784)).array)


class Inputs(chainer.LinkHook):

    """Keeps what the layers l2 and l3 got."""

    def __init__(self):
        self.seen = {}

    def forward_preprocess(self, args):
        if args.link.name in ('l2', 'l3'):
            self.seen[args.link.name] = args.args[0]


@pytest.mark.parametrize('surrogate', ['ste', 'approx-sign'])
@pytest.mark.parametrize('train', [True, False])
def test_activations(model, train, surrogate):
    model.surrogate = surrogate
    with Inputs() as inputs, chainer.using_config('train', train):
        model(numpy.random.uniform(0, 1, (6, 784)).astype(numpy.float32))
    assert set(inputs.seen) == {'l2', 'l3'}
    for x in inputs.seen.values():
        assert x.shape == (6, 8)
        assert set(numpy.unique(x.array)) == {-1, 1}
        assert bst.is_binary(x)


def test_against_numpy(model):
    x = numpy.random.uniform(0, 1, (5, 784)).astype(numpy.float32)
    for bn in (model.b1, model.b2, model.b3):
        for array in (bn.avg_mean, bn.gamma.array, bn.beta.array):
            array[...] = numpy.random.uniform(-1, 1, array.shape)
        bn.avg_var[...] = numpy.random.uniform(.5, 2, bn.avg_var.shape)
    with chainer.using_config('train', False):
        actual = model(x).array

    h = x.astype('d')
    for i in (1, 2, 3):
        layer, bn = model['l%d' % i], model['b%d' % i]
        h = h @ numpy.where(layer.W.array < 0, -1., 1.).T + layer.b.array
        h = ((h - bn.avg_mean) / numpy.sqrt(bn.avg_var + bn.eps)
             * bn.gamma.array + bn.beta.array)
        if i < 3:
            h = numpy.where(h < 0, -1., 1.)
    numpy.testing.assert_allclose(actual, h, rtol=1e-4, atol=1e-4)


def test_every_parameter_gets_a_gradient(model):
    x = numpy.random.uniform(0, 1, (8, 784)).astype(numpy.float32)
    chainer.functions.sum(model(x) ** 3).backward()
    for name, param in model.namedparams():
        assert param.grad is not None, name
    assert model.l1.W.grad.any()


@pytest.mark.parametrize('sizes', [
    {'n_units': 0}, {'n_out': 0}, {'n_in': 0}, {'n_units': -1}])
def test_wrong_sizes(sizes):
    with pytest.raises(ValueError, match='positive'):
        net.BinaryMLP(**sizes)


def test_wrong_input_size(model):
    with pytest.raises(chainer.utils.type_check.InvalidType):
        model(numpy.zeros((2, 783), numpy.float32))


@testing.inject_backend_tests(['test_output'], [{}, {'use_cuda': True}])
class TestDevices(unittest.TestCase):

    def test_output(self, backend_config):
        model = net.BinaryMLP(8, 3, 6)
        x = numpy.random.uniform(0, 1, (5, 1, 2, 3)).astype(numpy.float32)
        with chainer.using_config('train', False):
            expected = model(x).array
            model.to_device(backend_config.device)
            y = model(backend_config.get_array(x))
        testing.assert_allclose(y.array, expected, rtol=1e-4, atol=1e-4)


testing.run_module(__name__, __file__)
