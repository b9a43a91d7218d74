"""LeNet-5: the seed's layers, what is binary, what it computes."""
import chainer
import chainer.links as L
import numpy

from zoo.xnor_net import lenet5
from zoo.xnor_net import link_scaled_convolution_2d
from zoo.xnor_net import link_scaled_linear

LeNet5 = lenet5.LeNet5
# (filters, channels, kh, kw), stride, pad, weights
TABLE = {
    'conv1': ((20, 1, 5, 5), 1, 0, 'float'),
    'block2/conv': ((50, 20, 5, 5), 1, 0, 'scaled'),
    'block3/linear': ((500, 800), 1, 0, 'scaled'),
    'l4': ((10, 500), 1, 0, 'float'),
}


def images(n):
    return numpy.random.normal(0, 1, (n, 1, 28, 28)).astype('f')


class Recorder(chainer.LinkHook):
    """Keeps what goes into each layer."""

    def __init__(self, model):
        self.names = {id(link): name[1:] for name, link in model.namedlinks()
                      if not isinstance(link, chainer.Chain)}
        self.inputs = {}

    def forward_postprocess(self, args):
        if id(args.link) in self.names:
            self.inputs[self.names[id(args.link)]] = chainer.as_array(
                args.args[0])


def test_layers(layer_table):
    assert layer_table(LeNet5()) == TABLE
    assert layer_table(LeNet5(binary=False)) == {
        name: (*row[:-1], 'float') for name, row in TABLE.items()}
    for binary in True, False:
        model = LeNet5(binary=binary)
        assert model.count_params() == 431220
        assert isinstance(model.conv1, L.Convolution2D)
        assert type(model.l4) is L.Linear
        assert isinstance(model.block2.conv, (
            link_scaled_convolution_2d.ScaledConvolution2D if binary
            else L.Convolution2D))
        assert type(model.block3.linear) is (
            link_scaled_linear.ScaledLinear if binary else L.Linear)
    assert LeNet5(2).l4.W.shape == (2, 500)


def test_batch_normalization():
    model = LeNet5()
    assert getattr(model.bn1, 'gamma', None) is None
    assert getattr(model.bn1, 'beta', None) is None
    for bn, channels in (
            (model.bn1, 20), (model.block2.bn, 20), (model.block3.bn, 50)):
        assert bn.eps == 1e-4
        assert bn.decay == .9
        assert bn.avg_mean.shape == (channels,)
    assert model.block2.bn.gamma.shape == (20,)
    assert model.block3.bn.gamma.shape == (50,)


def test_order_and_shapes():
    model = LeNet5()
    recorder = Recorder(model)
    with recorder:
        assert model(images(3)).shape == (3, 10)
    assert {n: x.shape[1:] for n, x in recorder.inputs.items()} == {
        'conv1': (1, 28, 28), 'bn1': (20, 24, 24), 'block2/bn': (20, 12, 12),
        'block2/conv': (20, 12, 12), 'block3/bn': (50, 4, 4),
        'block3/linear': (50, 4, 4), 'l4': (500,)}
    assert list(recorder.inputs) == [
        'conv1', 'bn1', 'block2/bn', 'block2/conv', 'block3/bn',
        'block3/linear', 'l4']


def test_forward(reference):
    x = numpy.random.normal(0, 1, (2, 1, 28, 28))
    for binary in True, False:
        with chainer.using_config('dtype', numpy.float64):
            model = LeNet5(binary=binary)
        reference.disturb(model)
        h = reference.convolution(x, model.conv1.W.array, model.conv1.b)
        h = numpy.maximum(reference.normalize(model.bn1, h), 0)
        h = reference.pool(h, numpy.max, 2)
        h = reference.block(model.block2, h)
        h = reference.pool(h, numpy.max, 2)
        h = reference.block(model.block3, h)
        expected = reference.linear(h, model.l4.W.array, model.l4.b)
        with chainer.using_config('train', False):
            numpy.testing.assert_allclose(
                model(x).array, expected, rtol=1e-8)
