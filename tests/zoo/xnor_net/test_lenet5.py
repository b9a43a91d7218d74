"""LeNet-5: the seed's layers, what is binary, what flows through."""
import unittest

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import testing

import link_binary_linear
from zoo.binarynet import link_binary_convolution_2d
from zoo.xnor_net import hooks
from zoo.xnor_net import lenet5

LeNet5 = lenet5.LeNet5
SHAPES = {
    '/conv1/W': (20, 1, 5, 5), '/conv1/b': (20,),
    '/block2/bn/gamma': (20,), '/block2/bn/beta': (20,),
    '/block2/conv/W': (50, 20, 5, 5), '/block2/conv/b': (50,),
    '/block3/bn/gamma': (50,), '/block3/bn/beta': (50,),
    '/block3/linear/W': (500, 800), '/block3/linear/b': (500,),
    '/l4/W': (10, 500), '/l4/b': (10,),
}


class Recorder(chainer.LinkHook):

    """Keeps what goes into and comes out of each layer."""

    def __init__(self, model):
        self.names = {id(link): name[1:] for name, link in model.namedlinks()
                      if not isinstance(link, chainer.Chain)}
        self.inputs = {}
        self.outputs = {}
        self.order = []

    def forward_postprocess(self, args):
        if id(args.link) in self.names:
            name = self.names[id(args.link)]
            self.order.append(name)
            self.inputs[name] = chainer.as_variable(args.args[0]).array
            self.outputs[name] = args.out.array


@pytest.fixture(params=[True, False], ids=['binary', 'float'])
def model(request):
    return LeNet5(binary=request.param)


def images(n, dtype=numpy.float32):
    return numpy.random.normal(0, 1, (n, 1, 28, 28)).astype(dtype)


def record(model, x):
    recorder = Recorder(model)
    with recorder:
        y = model(x)
    return recorder, y


def test_parameters(model):
    assert {n: p.shape for n, p in model.namedparams()} == SHAPES
    assert model.count_params() == 431220
    assert {p.dtype for p in model.params()} == {numpy.dtype('f')}


def test_binary_layers(model):
    binary = {name: type(link) for name, link in model.namedlinks()
              if getattr(link, 'w_bits', 32) == 1}
    if not model.binary:
        assert binary == {}
        assert not any(getattr(link, 'scaled', False)
                       for link in model.links())
        return
    assert binary == {
        '/block2/conv': link_binary_convolution_2d.BinaryConvolution2D,
        '/block3/linear': link_binary_linear.BinaryLinear}
    assert model.block2.conv.scaled
    assert model.block3.linear.scaled


def test_first_and_last_layer_are_float(model):
    assert type(model.conv1) is L.Convolution2D
    assert type(model.l4) is L.Linear


def test_default_is_binary():
    assert LeNet5().binary
    assert isinstance(
        LeNet5().block3.linear, link_binary_linear.BinaryLinear)


def test_batch_normalization(model):
    assert not hasattr(model.bn1, 'gamma') or model.bn1.gamma is None
    assert not hasattr(model.bn1, 'beta') or model.bn1.beta is None
    for bn, channels in (
            (model.bn1, 20), (model.block2.bn, 20), (model.block3.bn, 50)):
        assert isinstance(bn, L.BatchNormalization)
        assert bn.eps == 1e-4
        assert bn.decay == .9
        assert bn.avg_mean.shape == (channels,)


def test_shapes_and_order(model):
    recorder, y = record(model, images(3))
    assert recorder.order == [
        'conv1', 'bn1', 'block2/bn', 'block2/conv', 'block3/bn',
        'block3/linear', 'l4']
    assert {n: a.shape for n, a in recorder.outputs.items()} == {
        'conv1': (3, 20, 24, 24), 'bn1': (3, 20, 24, 24),
        'block2/bn': (3, 20, 12, 12), 'block2/conv': (3, 50, 8, 8),
        'block3/bn': (3, 50, 4, 4), 'block3/linear': (3, 500), 'l4': (3, 10)}
    assert y.dtype == numpy.float32


@pytest.mark.parametrize('train', [True, False])
def test_activations(model, train):
    model(images(8))  # statistics: with a mean of 0, no ReLU is below it
    with chainer.using_config('train', train):
        recorder, _ = record(model, images(4))
    for name in 'block2/conv', 'block3/linear':
        values = set(recorder.inputs[name].ravel())
        if model.binary:
            assert values == {-1, 1}
        else:
            assert len(values) > 100
    # Behind the ReLU and in front of the float layers nothing is binary.
    for name in 'conv1', 'bn1', 'block2/bn', 'block3/bn', 'l4':
        assert len(set(recorder.inputs[name].ravel())) > 100
    for name in 'block2/bn', 'block3/bn', 'l4':
        assert recorder.inputs[name].min() >= 0


def test_forward_step_by_step(model):
    # The seed's blocks, in float64, from the parameters alone.
    block2, block3 = model.block2, model.block3
    for bn in block2.bn, block3.bn:
        for param in bn.params():
            param.array[...] += numpy.random.uniform(
                -.3, .3, param.shape).astype('f')
    for bn in model.bn1, block2.bn, block3.bn:
        bn.avg_mean[...] = numpy.random.uniform(-.5, .5, bn.avg_mean.shape)
        bn.avg_var[...] = numpy.random.uniform(.5, 2, bn.avg_var.shape)

    def normalize(x, bn, gamma=None, beta=None):
        shape = (1, -1, 1, 1)
        x = ((x - bn.avg_mean.astype('d').reshape(shape))
             / numpy.sqrt(bn.avg_var.astype('d') + 1e-4).reshape(shape))
        return x if gamma is None else (
            x * gamma.array.reshape(shape) + beta.array.reshape(shape))

    def binarize(x):
        return numpy.where(x >= 0, 1., -1.) if model.binary else x

    def weight(link):
        W = link.W.array.astype('d')
        if not model.binary:
            return W
        axes = tuple(range(1, W.ndim))
        return binarize(W) * abs(W).mean(axis=axes, keepdims=True)

    def pool(x):
        return F.max_pooling_2d(x, 2).array

    x = images(2)
    with chainer.using_config('train', False):
        recorder, y = record(model, x)
    h = F.convolution_2d(
        x.astype('d'), model.conv1.W.array.astype('d'),
        model.conv1.b.array.astype('d')).array
    h = pool(numpy.maximum(normalize(h, model.bn1), 0))
    h = normalize(h, block2.bn, block2.bn.gamma, block2.bn.beta)
    # A sign may fall on either side of a rounding error: from here on what
    # the model itself had, and it has to agree nearly everywhere.
    mine, its = binarize(h), recorder.inputs['block2/conv']
    assert (abs(mine - its) > 1e-4).mean() < 1e-3
    h = F.convolution_2d(
        its.astype('d'), weight(block2.conv),
        block2.conv.b.array.astype('d')).array
    h = pool(numpy.maximum(h, 0))
    h = normalize(h, block3.bn, block3.bn.gamma, block3.bn.beta)
    mine, its = binarize(h), recorder.inputs['block3/linear']
    if its.ndim == 2:
        mine = mine.reshape(len(mine), -1)
    assert (abs(mine - its) > 1e-4).mean() < 1e-2
    h = its.reshape(len(its), -1).astype('d') @ weight(block3.linear).T
    h = numpy.maximum(h + block3.linear.b.array, 0)
    expected = h @ model.l4.W.array.T.astype('d') + model.l4.b.array
    numpy.testing.assert_allclose(y.array, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('n_out', [2, 10])
def test_number_of_classes(n_out):
    model = LeNet5(n_out)
    assert model.l4.W.shape == (n_out, 500)
    with chainer.using_config('train', False):
        assert model(images(1)).shape == (1, n_out)


def test_gradients_reach_every_parameter(model):
    model.cleargrads()  # Chainer begins with NaN
    F.softmax_cross_entropy(
        model(images(8)), numpy.arange(8, dtype=numpy.int32)).backward()
    for name, param in model.namedparams():
        # A bias in front of batch normalization is taken out by it.
        if name != '/conv1/b':
            assert abs(param.grad).max() > 0, name
        assert numpy.isfinite(param.grad).all(), name


def test_evaluation_changes_nothing(model):
    chainer.optimizers.Adam().setup(model)
    hooks.add_to(model)
    model(images(4))  # statistics
    before = {n: a.tobytes() for n, a in arrays(model).items()}
    x = images(2)
    with chainer.using_config('train', False):
        first, second = model(x).array, model(x).array
    numpy.testing.assert_array_equal(first, second)
    assert {n: a.tobytes() for n, a in arrays(model).items()} == before


def arrays(model):
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(model)
    return {n: numpy.array(a) for n, a in serializer.target.items()}


def test_serialization(model, tmp_path):
    x = images(3)
    model(x)  # statistics
    path = str(tmp_path / 'model.npz')
    chainer.serializers.save_npz(path, model)
    other = LeNet5(binary=model.binary)
    chainer.serializers.load_npz(path, other)
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(other(x).array, model(x).array)


def test_training(model):
    numpy.random.seed(0)
    patterns = images(10)
    t = numpy.arange(30, dtype=numpy.int32) % 10
    x = (patterns[t] + .3 * images(30)).astype(numpy.float32)
    optimizer = chainer.optimizers.Adam(alpha=.002).setup(model)
    hooks.add_to(model)
    losses = []

    def loss():
        value = F.softmax_cross_entropy(model(x), t)
        losses.append(float(value.array))
        return value

    for _ in range(7):
        optimizer.update(loss)
    assert losses[-1] < .7 * losses[0]
    if model.binary:
        for link in model.block2.conv, model.block3.linear:
            assert abs(link.W.array).max() <= 1


@testing.parameterize({'binary': True}, {'binary': False})
@testing.inject_backend_tests(['test_to_device'], [{}, {'use_cuda': True}])
class TestToDevice(unittest.TestCase):

    def test_to_device(self, backend_config):
        model = LeNet5(binary=self.binary)
        device = backend_config.device
        model.to_device(device)
        chainer.optimizers.Adam().setup(model)
        with chainer.using_device(device):
            hooks.add_to(model)
            y = model(device.send(images(4)))
            F.sum(y ** 2).backward()
        assert isinstance(y.array, device.supported_array_types)
        for param in model.params():
            assert isinstance(param.array, device.supported_array_types)
            assert isinstance(param.grad, device.supported_array_types)


testing.run_module(__name__, __file__)
