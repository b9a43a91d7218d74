"""What every net does: it learns, is saved, takes classes, draws nothing."""
import json

import chainer
import chainer.functions as F
import numpy
import pytest

import weight_clip
from zoo import nets
from zoo.xnor_net import hooks

XNOR = {'input_scale': True, 'shift': True, 'surrogate': 'approx-sign'}
# Class, arguments, layers of one bit
CASES = {
    'binary': ('BinaryMLP', {'n_units': 30}, 3),
    'binary-options': ('DeepBinaryMLP', {
        'n_units': 30, 'n_layers': 3, 'stochastic': True,
        'surrogate': 'swish-sign', 'dropout_input': .2,
        'dropout_hidden': .2}, 4),
    'quantized': ('QuantizedMLP', {'n_units': 30}, 0),
    'quantized-linear': ('QuantizedMLP', {
        'n_units': 30, 'w_bits': 3, 'a_bits': 4, 'quantizer': 'linear'}, 0),
    'float': ('FloatMLP', {'n_units': 30, 'batch_norm': False}, 0),
    'binary-weight': ('BinaryWeightMLP', {'n_units': 30, 'n_layers': 1}, 2),
    'lenet5': ('LeNet5', {}, 2),
    'lenet5-options': ('LeNet5', XNOR, 2),
    'shallow': ('ShallowConvNet', {}, 5),
    'shallow-stochastic': (
        'ShallowConvNet', {'stochastic': True, 'batch_norm': True}, 5),
    'shallow-float': ('ShallowConvNet', {'binary': False}, 0),
    'convnet': ('ConvNet', {'width': 8}, 9),
    'convnet-options': ('ConvNet', {
        'width': 8, 'surrogate': 'swish-sign', 'pad_value': 1,
        'stochastic': True}, 9),
    'convnet-weight': ('ConvNet', {'width': 8, 'kind': 'binary-weight'}, 9),
    'convnet-float': ('ConvNet', {'width': 8, 'kind': 'float'}, 0),
    'nin': ('NIN', {}, 7),
    'nin-options': ('NIN', XNOR, 7),
    'nin-imagenet': ('NINImageNet', {}, 10),
    'cnv': ('CNV', {}, 9),
    'cnv-1-2': ('CNV', {'a_bits': 2}, 9),
    'cnv-2-2': ('CNV', {
        'w_bits': 2, 'a_bits': 2, 'quantizer': 'linear'}, 0),
    'cnv-float': ('CNV', {'w_bits': 32, 'a_bits': 32}, 0),
    'resnet20': ('ResNet20', {'surrogate': 'approx-sign'}, 18),
    'resnet20-float': ('ResNet20', {'binary': False}, 0),
    'resnet20-float-weights': ('ResNet20', {'binary_weights': False}, 0),
    'fast': ('FastConvNet', {'surrogate': 'approx-sign'}, 5),
    'fast-float': ('FastConvNet', {'binary': False}, 0),
    'fast-float-weights': ('FastConvNet', {'binary_weights': False}, 0),
    'alexnet': ('AlexNet', {'n_units': 64}, 6),
    'alexnet-float': ('AlexNet', {'n_units': 64, 'binary': False}, 0),
}
# NIN takes ImageNet's images in any size; small ones are quicker.
SHAPES = {'ShallowConvNet': (3, 32, 32), 'ConvNet': (3, 32, 32),
          'NIN': (3, 32, 32), 'NINImageNet': (3, 99, 99),
          'AlexNet': (3, 227, 227), 'CNV': (3, 32, 32),
          'ResNet20': (3, 32, 32), 'FastConvNet': (3, 32, 32)}
DRAWING = ('NIN', 'NINImageNet', 'AlexNet')  # they have dropout


def make(name, n_out=3):
    class_name, args, _ = CASES[name]
    return nets.NETS[class_name](n_out=n_out, **args)


def images(name, n):
    shape = SHAPES.get(CASES[name][0], (1, 28, 28))
    return numpy.random.normal(0, 1, (n, *shape)).astype('f')


def binary_layers(model):
    return [link for link in model.links()
            if getattr(link, 'w_bits', 32) == 1]


@pytest.mark.parametrize('name,shape,expected', [
    ('shallow-float', (3, 32, 32), True),
    ('shallow-float', (3, 40, 40), False),
    ('shallow-float', (1, 32, 32), False),
    ('shallow-float', (3, 1, 1), False),
    ('nin-imagenet', (3, 67, 67), True),
    ('nin-imagenet', (3, 9, 9), False)])
def test_takes(name, shape, expected):
    assert nets.takes(make(name), shape) == expected


def test_every_net_is_tested():
    assert {class_name for class_name, _, _ in CASES.values()} == set(
        nets.NETS)


@pytest.mark.parametrize('name', CASES)
def test_net(name, tmp_path):
    model, x = make(name), images(name, 4)
    t = numpy.array([0, 1, 2, 0], 'i')
    assert len(binary_layers(model)) == CASES[name][2]
    check_gradients(model, x, t)
    check_evaluation(model, x, CASES[name])
    check_file(model, x[:1], name, str(tmp_path / 'model.npz'))
    check_hooks(model)
    # The loss of weights that are drawn is too noisy for a few steps, and
    # ImageNet's nets take long.
    if not CASES[name][1].get('stochastic') and x[0].size < 10 ** 4:
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


def check_evaluation(model, x, case):
    class_name, args, _ = case
    draws = (args.get('stochastic') or args.get('dropout_hidden')
             or class_name in DRAWING)
    assert numpy.array_equal(model(x).array, model(x).array) != bool(draws)
    state = numpy.random.get_state()[1].copy()
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(model(x).array, model(x).array)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)


def check_file(model, x, name, path):
    args = CASES[name][1]
    assert json.loads(json.dumps(args)) == args
    chainer.serializers.save_npz(path, model)
    other = make(name)
    chainer.serializers.load_npz(path, other)
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(other(x).array, model(x).array)
        assert make(name, 11)(x).shape == (1, 11)


def check_hooks(model):
    """XNOR-Net's hooks take all layers of one bit of its nets, or none."""
    chainer.optimizers.SGD().setup(model)
    before = [param.array.copy() for param in model.params()]
    hooks.add_to(model)
    scaled = [link for link in model.links()
              if getattr(link, 'scaled', False) and hasattr(link, 'W')]
    for link in scaled:
        assert abs(link.W.array.mean(axis=1)).max() < 1e-5
    if scaled:
        assert len(scaled) == len(binary_layers(model))
    else:
        for param, array in zip(model.params(), before, strict=True):
            numpy.testing.assert_array_equal(param.array, array)


def check_training(model, x, t):
    optimizer = chainer.optimizers.Adam().setup(model)
    hooks.add_to(model)
    for link in binary_layers(model):
        link.W.update_rule.add_hook(weight_clip.WeightClip())
    losses = []

    def loss():
        value = F.softmax_cross_entropy(model(x), t)
        losses.append(float(value.array))
        return value

    for _ in range(8):
        optimizer.update(loss)
    assert min(losses[4:]) < losses[0], losses
