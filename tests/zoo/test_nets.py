"""What every convolutional net does: it learns, is saved, listed, bounded."""
import json
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import testing

import weight_clip
from bnn.training import summary
from zoo.binary_neural_networks import shallow_convnet
from zoo.binarynet import convnet
from zoo.xnor_net import alexnet
from zoo.xnor_net import hooks
from zoo.xnor_net import lenet5
from zoo.xnor_net import nin

LeNet5 = lenet5.LeNet5
ShallowConvNet = shallow_convnet.ShallowConvNet
ConvNet = convnet.ConvNet
NIN = nin.NIN
NINImageNet = nin.NINImageNet
AlexNet = alexnet.AlexNet
XNOR = {'input_scale': True, 'shift': True, 'surrogate': 'approx-sign'}
# Class, arguments, layers that are binary
NETS = {
    'lenet5-options': (LeNet5, XNOR, 2),
    'shallow': (ShallowConvNet, {}, 5),
    'shallow-stochastic': (
        ShallowConvNet, {'stochastic': True, 'batch_norm': True}, 5),
    'shallow-float': (ShallowConvNet, {'binary': False}, 0),
    'shallow-float-bn': (
        ShallowConvNet, {'binary': False, 'batch_norm': True}, 0),
    'convnet': (ConvNet, {'width': 8}, 9),
    'convnet-options': (ConvNet, {
        'width': 8, 'surrogate': 'swish-sign', 'pad_value': 1,
        'stochastic': True}, 9),
    'convnet-weight': (ConvNet, {'width': 8, 'kind': 'binary-weight'}, 9),
    'convnet-float': (ConvNet, {'width': 8, 'kind': 'float'}, 0),
    'nin': (NIN, {}, 7),
    'nin-options': (NIN, XNOR, 7),
    'nin-float': (NIN, {'binary': False}, 0),
    'nin-imagenet': (NINImageNet, {}, 10),
    'nin-imagenet-float': (NINImageNet, {'binary': False}, 0),
    'alexnet': (AlexNet, {'n_units': 64}, 6),
    'alexnet-float': (AlexNet, {'n_units': 64, 'binary': False}, 0),
}
# NIN takes ImageNet's images in any size; small ones are quicker.
SHAPES = {LeNet5: (1, 28, 28), NINImageNet: (3, 99, 99),
          AlexNet: (3, 227, 227)}


def make(name, n_out=3):
    class_, args, _ = NETS[name]
    return class_(n_out=n_out, **args)


def images(name, n):
    shape = SHAPES.get(NETS[name][0], (3, 32, 32))
    return numpy.random.normal(0, 1, (n, *shape)).astype('f')


def binary_layers(model):
    return [link for link in model.links()
            if getattr(link, 'w_bits', 32) == 1]


@pytest.mark.parametrize('name', NETS)
def test_net(name):
    numpy.random.seed(0)
    model, x = make(name), images(name, 4)
    t = numpy.array([0, 1, 2, 0], 'i')
    assert len(binary_layers(model)) == NETS[name][2]
    check_gradients(model, x, t)
    check_summary(model, x[:1])
    check_hooks(model)
    # The loss of weights that are drawn is too noisy for a few steps.
    if not NETS[name][1].get('stochastic'):
        check_training(model, x, t)


def check_gradients(model, x, t):
    model.cleargrads()  # Chainer begins with NaN
    y = model(x)
    assert y.shape == (4, 3)
    assert y.dtype == numpy.float32
    F.softmax_cross_entropy(y, t).backward()
    for name, param in model.namedparams():
        assert numpy.isfinite(param.grad).all(), name
        # A bias in front of batch normalization is taken out by it.
        if not name.endswith('/b'):
            assert abs(param.grad).max() > 0, name


def check_summary(model, x):
    *rows, total = summary.summarize(model, x)
    assert [row['layer'] for row in rows] == list(dict.fromkeys(
        row['layer'] for row in rows))
    assert {row['layer'] for row in rows} == {
        name[1:] for name, link in model.namedlinks()
        if not isinstance(link, chainer.Chain)}
    assert total['params'] == model.count_params()
    assert [row['bits'] for row in rows].count(1) == len(
        binary_layers(model))


def check_hooks(model):
    optimizer = chainer.optimizers.SGD().setup(model)
    latent = len(binary_layers(model))
    assert len(weight_clip.unbounded_weights(optimizer)) == latent
    before = [param.array.copy() for param in model.params()]
    hooks.add_to(model)
    scaled = [link for link in binary_layers(model) if link.scaled]
    for link in scaled:
        assert abs(link.W.array.mean(axis=1)).max() < 1e-5
    if scaled:
        assert len(scaled) == latent
    else:
        for param, array in zip(model.params(), before, strict=True):
            numpy.testing.assert_array_equal(param.array, array)
        weight_clip.clip_weights(model)
    assert weight_clip.unbounded_weights(optimizer) == []


def check_training(model, x, t):
    optimizer = chainer.optimizers.Adam().setup(model)
    hooks.add_to(model)
    weight_clip.clip_weights(model)
    losses = []

    def loss():
        value = F.softmax_cross_entropy(model(x), t)
        losses.append(float(value.array))
        return value

    for _ in range(8):
        optimizer.update(loss)
    assert min(losses[4:]) < losses[0], losses


@pytest.mark.parametrize('name', NETS)
def test_arguments_can_be_saved(name):
    class_, args, _ = NETS[name]
    assert json.loads(json.dumps(args)) == args


@pytest.mark.parametrize('name', NETS)
def test_number_of_classes(name):
    with chainer.using_config('train', False):
        for n_out in 2, 11:
            assert make(name, n_out)(images(name, 1)).shape == (1, n_out)


@pytest.mark.parametrize('name', NETS)
def test_serialization(name, tmp_path):
    model, x = make(name), images(name, 3)
    model(x)  # statistics
    path = str(tmp_path / 'model.npz')
    chainer.serializers.save_npz(path, model)
    other = make(name)
    chainer.serializers.load_npz(path, other)
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(other(x).array, model(x).array)


@pytest.mark.parametrize('name', NETS)
def test_evaluation_draws_nothing(name):
    model, x = make(name), images(name, 4)
    model(x)
    draws = NETS[name][1].get('stochastic') or (
        NETS[name][0] in (NIN, NINImageNet, AlexNet))
    y = model(x).array
    assert numpy.array_equal(model(x).array, y) != bool(draws)
    state = numpy.random.get_state()[1].copy()
    with chainer.using_config('train', False):
        y = model(x).array
        numpy.testing.assert_array_equal(model(x).array, y)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)


@testing.parameterize(*testing.product({'name': list(NETS)}))
@testing.inject_backend_tests(['test_to_device'], [{'use_cuda': True}])
class TestToDevice(unittest.TestCase):

    def test_to_device(self, backend_config):
        model = make(self.name)
        device = backend_config.device
        model.to_device(device)
        chainer.optimizers.Adam().setup(model)
        with chainer.using_device(device):
            hooks.add_to(model)
            y = model(device.send(images(self.name, 2)))
            F.sum(y ** 2).backward()
        for param in model.params():
            assert isinstance(param.grad, device.supported_array_types)


testing.run_module(__name__, __file__)
