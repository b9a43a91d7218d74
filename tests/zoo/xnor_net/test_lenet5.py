"""LeNet-5: the seed's layers, what is binary, what it computes."""
import chainer
import chainer.links as L
import numpy

from zoo.xnor_net import hooks
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
        assert type(model.conv1) is L.Convolution2D
        assert type(model.l4) is L.Linear
        assert type(model.block2.conv) is (
            link_scaled_convolution_2d.ScaledConvolution2D if binary
            else L.Convolution2D)
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


def test_activations():
    for binary in True, False:
        model = LeNet5(binary=binary)
        model(images(8))  # statistics: with a mean of 0, no ReLU is below it
        for train in True, False:
            recorder = Recorder(model)
            with recorder, chainer.using_config('train', train):
                model(images(4))
            for name in 'block2/conv', 'block3/linear':
                values = set(recorder.inputs[name].ravel())
                assert values == {-1, 1} if binary else len(values) > 100
            # Behind the ReLU, in front of the float layers nothing is binary.
            for name in 'block2/bn', 'block3/bn', 'l4':
                assert recorder.inputs[name].min() >= 0
                assert len(set(recorder.inputs[name].ravel())) > 100


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


def test_evaluation_changes_nothing():
    def contents():
        serializer = chainer.serializers.DictionarySerializer()
        serializer.save(model)
        return {name: numpy.array(array).tobytes()
                for name, array in serializer.target.items()}

    model = LeNet5()
    chainer.optimizers.Adam().setup(model)
    hooks.add_to(model)
    model(images(4))  # statistics
    before = contents()
    x = images(2)
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(model(x).array, model(x).array)
    assert contents() == before


def test_training():
    for binary in True, False:
        numpy.random.seed(0)
        model = LeNet5(binary=binary)
        patterns = images(10)
        t = numpy.arange(30, dtype=numpy.int32) % 10
        x = patterns[t] + numpy.float32(.3) * images(30)
        optimizer = chainer.optimizers.Adam(alpha=.002).setup(model)
        hooks.add_to(model)
        losses = []

        def loss(model=model, x=x, t=t, losses=losses):
            value = chainer.functions.softmax_cross_entropy(model(x), t)
            losses.append(float(value.array))
            return value

        for _ in range(7):
            optimizer.update(loss)
        assert losses[-1] < .7 * losses[0]
        if binary:
            for link in model.block2.conv, model.block3.linear:
                assert abs(link.W.array).max() <= 1
