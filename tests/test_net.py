"""The binary MLP: names, shapes, what flows through."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import gradient_check

import link_binary_linear
import net


@pytest.fixture
def model():
    return net.BinaryMLP(n_units=8, n_out=3, n_in=784)


def images(*shape):
    return numpy.random.uniform(0, 1, shape).astype('f')


def test_layers(model):
    assert {link.name for link in model.children()} == {
        'l1', 'b1', 'l2', 'b2', 'l3', 'b3'}
    for i in 1, 2, 3:
        assert type(model[f'l{i}']) is link_binary_linear.BinaryLinear
        assert isinstance(model[f'b{i}'], L.BatchNormalization)
    assert {name: param.shape for name, param in model.namedparams()} == {
        '/l1/W': (8, 784), '/l1/b': (8,), '/b1/gamma': (8,),
        '/b1/beta': (8,), '/l2/W': (8, 8), '/l2/b': (8,),
        '/b2/gamma': (8,), '/b2/beta': (8,), '/l3/W': (3, 8),
        '/l3/b': (3,), '/b3/gamma': (3,), '/b3/beta': (3,)}


def test_default_sizes():
    model = net.BinaryMLP()
    assert [model[name].W.shape for name in ('l1', 'l2', 'l3')] == [
        (1000, 784), (1000, 1000), (10, 1000)]


def test_output(model):
    for train in True, False:
        with chainer.using_config('train', train):
            for shape in (5, 784), (5, 1, 28, 28):
                y = model(images(*shape))
                assert y.shape == (5, 3)
                assert y.dtype == numpy.float32
    x = images(1, 1, 28, 28)
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(
            model(x).array, model(x.reshape(1, 784)).array)


class Inputs(chainer.LinkHook):
    """Keeps what the linear layers got."""

    def __init__(self):
        self.seen = {}

    def forward_preprocess(self, args):
        if isinstance(args.link, link_binary_linear.BinaryLinear):
            self.seen[args.link.name] = chainer.as_array(args.args[0])


def test_activations_are_signs(model):
    x = images(6, 784)
    for train in True, False:
        with Inputs() as inputs, chainer.using_config('train', train):
            model(x)
        assert inputs.seen.pop('l1') is x  # which is not binarized
        assert set(inputs.seen) == {'l2', 'l3'}
        for h in inputs.seen.values():
            assert h.shape == (6, 8)
            assert set(h.ravel()) == {-1, 1}


def test_operations(model):
    """The graph has the paper's operations, one after the other."""
    functions, y = [], model(images(5, 784))
    while y.creator is not None:
        functions.append(type(y.creator).__name__)
        y = y.creator.inputs[0]
    assert functions[::-1] == [
        'BinaryLinearFunction', 'BatchNormalization', 'BST',
        'BinaryLinearFunction', 'BatchNormalization', 'BST',
        'BinaryLinearFunction', 'BatchNormalization']


def test_evaluation_against_numpy(model):
    x = images(5, 784)
    for bn in model.b1, model.b2, model.b3:
        for array in bn.avg_mean, bn.gamma.array, bn.beta.array:
            array[...] = numpy.random.uniform(-1, 1, array.shape)
        bn.avg_var[...] = numpy.random.uniform(.5, 2, bn.avg_var.shape)
    with chainer.using_config('train', False):
        actual = model(x).array

    h = x.astype('d')
    for i in 1, 2, 3:
        layer, bn = model[f'l{i}'], model[f'b{i}']
        h = h @ numpy.where(layer.W.array < 0, -1., 1.).T + layer.b.array
        h = ((h - bn.avg_mean) / numpy.sqrt(bn.avg_var + bn.eps)
             * bn.gamma.array + bn.beta.array)
        if i < 3:
            h = numpy.where(h < 0, -1., 1.)
    numpy.testing.assert_allclose(actual, h, rtol=1e-4, atol=1e-4)


def test_gradients_of_the_last_layer_by_finite_differences():
    """After the last sign all is smooth but the signs of W."""
    with chainer.using_config('dtype', numpy.float64):
        model = net.BinaryMLP(6, 3, 4)
    x = numpy.random.normal(size=(7, 4))
    gy = numpy.random.normal(size=(7, 3))
    model.cleargrads()
    F.sum(model(x) * gy).backward()
    for array, gradient in (
            (model.b3.gamma.array, model.b3.gamma.grad),
            (model.b3.beta.array, model.b3.beta.grad),
            (model.l3.b.array, model.l3.b.grad)):
        expected, = gradient_check.numerical_grad(
            lambda: (model(x).array,), (array,), (gy,))
        numpy.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_wrong_sizes(model):
    for sizes in {'n_units': 0}, {'n_out': 0}, {'n_in': 0}, {'n_units': -1}:
        with pytest.raises(ValueError, match='positive'):
            net.BinaryMLP(**sizes)
    with pytest.raises(chainer.utils.type_check.InvalidType):
        model(numpy.zeros((2, 783), 'f'))
