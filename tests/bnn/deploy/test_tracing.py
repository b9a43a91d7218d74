"""The operations of nets, against Chainer's scores and written by hand."""
import dataclasses

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

import bst
import link_binary_linear
import net
from bnn import errors
from bnn.chainer_ops import function_dropout
from bnn.deploy import operations
from bnn.deploy import reference
from bnn.deploy import tracing
from zoo.quantized_net import quantized_mlp
from zoo.reactnet import function_rprelu
from zoo.reactnet import link_rprelu
from zoo.reactnet import link_shifted_bst
from zoo.xnor_net import link_xnor_block


class Net(chainer.Chain):
    """A net of some links, and of a function that has them."""

    def __init__(self, function, **links):
        super().__init__()
        self.function = function
        with self.init_scope():
            for name, link in links.items():
                setattr(self, name, link)

    def forward(self, x):
        return self.function(self, x)


def random(*shape):
    return numpy.random.uniform(-1, 1, shape).astype('f')


def disturb(model):
    """Moves what is a constant at first."""
    for link in model.links():
        for param in link.params(include_uninit=False):
            param.array[...] += random(*param.shape)
        if isinstance(link, L.BatchNormalization):
            link.avg_mean[...] = random(*link.avg_mean.shape)
            link.avg_var[...] += random(*link.avg_var.shape) / 2
    return model


def scores(model, x):
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        return model(x).array


def words(found):
    """Returns operations as text, without their arrays."""
    return [f'{type(one).__name__} {one.name}'.strip() for one in found]


def assert_same(actual, wanted):
    """Compares operations, their arrays to the bit."""
    assert words(actual) == words(wanted)
    for a, b in zip(actual, wanted, strict=True):
        for field in dataclasses.fields(b):
            one, other = getattr(a, field.name), getattr(b, field.name)
            if isinstance(other, operations.Weights):
                numpy.testing.assert_array_equal(one.values, other.values)
                assert (one.scale is None) == (other.scale is None)
                if one.scale is not None:
                    # A mean of sizes, added up in another order
                    numpy.testing.assert_allclose(
                        one.scale, other.scale, rtol=1e-6)
                assert (one.values.dtype, one.bits, one.level_bits) == (
                    other.values.dtype, other.bits, other.level_bits)
            else:
                numpy.testing.assert_array_equal(one, other)


def test_every_net(net_names, make_net):
    for name in net_names:
        shape, model = make_net(name)
        x = random(2, *shape)
        expected = scores(model, x)
        found = tracing.trace(model, x)
        for operation in found:
            shape = operation.output_shape(shape)
        assert tuple(shape) == expected.shape[1:], name
        assert {one.name for one in found} <= {
            path.strip('/') for path, _ in model.namedlinks()}, name
        numpy.testing.assert_allclose(
            reference.run(found, x, numpy.float32), expected, rtol=1e-4,
            atol=1e-4 * abs(expected).max(), err_msg=name)


# ---- written by hand


def signs(W):
    return numpy.where(W >= 0, 1, -1).astype(numpy.int8)


def normalization(name, link, eps):
    ones = numpy.ones_like(link.avg_mean)
    return operations.BatchNormalization(
        name=name, gamma=ones if link.gamma is None else link.gamma.array,
        beta=0 * ones if link.beta is None else link.beta.array,
        mean=link.avg_mean, var=link.avg_var, eps=eps)


def test_binary_mlp():
    model = disturb(net.BinaryMLP(5, 3, 12))
    model.l1.W.array[0, :2] = 0, -0.
    wanted = [operations.Flatten()]
    for i in 1, 2, 3:
        layer = model[f'l{i}']
        wanted += [
            operations.Linear(name=f'l{i}', b=layer.b.array, W=(
                operations.Weights(1, signs(layer.W.array)))),
            normalization(f'b{i}', model[f'b{i}'], 2e-5), operations.Sign()]
    assert_same(tracing.trace(model, random(1, 1, 3, 4)), wanted[:-1])


def test_xnor_block():
    """K, scaled weights, shifts of the sign and of the ReLU, one way."""
    block = disturb(link_xnor_block.XNORConvolution2D(
        2, 4, (3, 2), stride=(1, 2), pad=1, input_scale=True, shift=True))
    W = block.conv.W.array
    W[1], block.sign.alpha.array[0] = 0, 0
    geometry = {'stride': (1, 2), 'pad': (1, 1)}
    assert_same(tracing.trace(chainer.Sequential(block), random(1, 2, 5, 6)), [
        normalization('0/bn', block.bn, 1e-4),
        operations.KeepScale(name='0', ksize=(3, 2), **geometry),
        operations.Sign(name='0/sign', shift=block.sign.alpha.array),
        operations.Convolution2D(
            name='0/conv', **geometry, W=operations.Weights(
                1, signs(W), abs(W).mean(axis=(1, 2, 3), dtype='f'))),
        operations.MultiplyScale(name='0'),
        operations.Bias(name='0/bias', b=block.bias.b.array),
        operations.RPReLU(name='0/rprelu', **{
            name: getattr(block.rprelu, name).array
            for name in ('gamma', 'zeta', 'beta')})])


@pytest.mark.parametrize('quantizer, n, levels, low', [
    ('dorefa', 7, 8, 0.), ('linear', 4, 9, -1.)])
def test_quantized_mlp(quantizer, n, levels, low):
    model = disturb(quantized_mlp.QuantizedMLP(
        5, 3, 12, n_layers=1, w_bits=3, a_bits=3, quantizer=quantizer))
    model.l2.W.array[...] = 0
    W = model.l1.W.array
    if quantizer == 'dorefa':
        t = numpy.tanh(W)
        values = 2 * numpy.rint((t / (2 * abs(t).max()) + .5) * n) - n
        step = numpy.float32(numpy.nan)  # 0 / 0, as in training
    else:
        values, step = numpy.rint(numpy.clip(W, -1, 1) * n), 1 / n
    assert_same(tracing.trace(model, random(1, 12)), [
        operations.Linear(name='l1', b=model.l1.b.array, W=operations.Weights(
            3, values.astype(numpy.int16), numpy.float32(1 / n), levels)),
        normalization('b1', model.b1, 2e-5),
        operations.Quantize(n=n, low=low, high=1.),
        operations.Linear(name='l2', b=model.l2.b.array, W=operations.Weights(
            3, numpy.zeros((3, 5), numpy.int16), step, levels)),
        normalization('b2', model.b2, 2e-5)])


# ---- Chainer's own functions


def convolution(**options):
    return L.Convolution2D(2, 4, (3, 2), **options)


def _scaled(function, x):
    """A result times K of its operand."""
    return function(x) * F.mean(F.absolute(x), axis=1, keepdims=True)


def _crossing(x):
    y = F.relu(x)
    return y + x + y


def _dense(x):
    y = F.relu(x)
    return F.concat((x, y, F.clip(y, 0., 1.)))


SUPPORTED = {
    'Linear l': (lambda s, x: s.l(x), (3, 6), {'l': L.Linear(6, 4)}),
    'Flatten, Linear l': (lambda s, x: s.l(x), (3, 2, 3), {
        'l': L.Linear(6, 4, nobias=True)}),
    'Convolution2D l': (lambda s, x: s.l(x), (3, 2, 7, 8), {
        'l': convolution(stride=(1, 2), pad=(2, 1), dilate=(1, 2), groups=2)}),
    'BatchNormalization l': (lambda s, x: s.l(x), (3, 4, 2, 2), {
        'l': L.BatchNormalization(4, eps=.1, use_gamma=False)}),
    'Bias l': (lambda s, x: s.l(x), (3, 4, 2, 2), {'l': L.Bias(1, (4,))}),
    'Bias': (lambda s, x: F.identity(x) - 2, (3, 4), {}),
    'Bias, ReLU': (lambda s, x: F.relu(
        x - numpy.float32([[1], [-2]])), (3, 2, 5), {}),
    'RPReLU l': (lambda s, x: s.l(x), (3, 4, 2, 2), {'l': L.PReLU((4,))}),
    'RPReLU l, ReLU': (lambda s, x: F.relu(s.l(x)), (3, 4), {'l': L.PReLU()}),
    # Learned shifts stay apart from the bias before them
    'Bias, Sign l': (lambda s, x: s.l(x - 2), (3, 4, 2, 2), {
        'l': link_shifted_bst.ShiftedBST(4)}),
    'Bias, RPReLU': (lambda s, x: function_rprelu.rprelu(
        x - 1, *numpy.float32([[1, 2], [3, 4], [5, 6]])), (3, 2, 5), {}),
    'Bias, RPReLU l': (lambda s, x: s.l(x - 1), (3, 4, 2, 2), {
        'l': link_rprelu.RPReLU(4)}),
    'RPReLU': (lambda s, x: F.leaky_relu(F.identity(x), .25), (3, 4), {}),
    'Clip': (lambda s, x: F.clip(x, -.5, .25), (3, 4), {}),
    'Clip, Sign': (lambda s, x: bst.bst(F.relu6(F.identity(x))), (3, 4), {}),
    'MaxPooling2D': (lambda s, x: F.max_pooling_2d(
        x, (2, 3), (1, 2), 1, cover_all=False), (3, 2, 7, 8), {}),
    'MaxPooling2D, MaxPooling2D': (lambda s, x: F.max_pooling_2d(
        F.max_pooling_2d(x, 2), 2), (3, 2, 7, 8), {}),
    'AveragePooling2D, Mean': (lambda s, x: F.mean(F.average_pooling_2d(
        x, 3, 2, 1), axis=(-1, 2)), (3, 2, 7, 8), {}),
    'AveragePooling2D, Flatten': (lambda s, x: F.squeeze(F.average(
        x, axis=(2, 3), keepdims=True)), (3, 2, 7, 8), {}),
    'Convolution2D l, Bias': (lambda s, x: s.l(x) - 2, (3, 2, 5, 5), {
        'l': L.DepthwiseConvolution2D(2, 3, 3, pad=1)}),
    'Keep, PadChannels, Swap, ReLU, PadChannels, AddKept': (
        lambda s, x: F.concat((x, F.relu(x))), (3, 2, 4, 5), {}),
    'Keep, ReLU, PadChannels, Swap, Keep, PadChannels, Swap, Linear l, '
    'PadChannels, AddKept, AddKept': (
        lambda s, x: F.concat((s.l(x), x, F.relu(x))), (3, 4), {
            'l': L.Linear(4, 2)}),
    'Flatten': (lambda s, x: F.dropout(function_dropout.dropout(
        F.reshape(x, (3, -1)))), (3, 2, 2), {}),
    'Keep, Clip, AddKept': (lambda s, x: x + F.clip(x, 0., .5), (3, 4), {}),
    'Keep, AddKept': (lambda s, x: x + F.identity(x), (3, 4), {}),
    'Keep, Convolution2D l, ReLU, Swap, MaxPooling2D, PadChannels, AddKept': (
        lambda s, x: F.relu(s.l(x)) + F.pad(
            x[:, :, ::2, ::3], ((0, 0), (0, 2), (0, 0), (0, 0)), 'constant'),
        (3, 2, 5, 7), {'l': L.Convolution2D(2, 4, 3, stride=(2, 3), pad=1)}),
    # A sum within a branch of another one
    'Keep, Keep, ReLU, Swap, ReLU, Clip, AddKept, Linear l, AddKept': (
        lambda s, x: x + s.l(F.clip(F.relu(x), 0., .5) + F.relu(x)), (3, 4), {
            'l': L.Linear(4, 4)}),
    # K of what a branch begins with, and of what the sum gives
    'Keep, KeepScale, ReLU, MultiplyScale, AddKept, KeepScale, Linear l, '
    'MultiplyScale': (lambda s, x: _scaled(s.l, x + _scaled(F.relu, x)),
                      (3, 4), {'l': L.Linear(4, 4)}),
    'Convolution2D l, ReLU': (lambda s, x: F.relu(s.l(F.pad(
        x, ((0, 0), (0, 0), (1, 1), (2, 2)), 'constant', constant_values=1))),
        (3, 2, 4, 4), {'l': convolution()}),
}


@pytest.mark.parametrize('name', SUPPORTED)
def test_supported(name):
    function, shape, links = SUPPORTED[name]
    model, x = disturb(Net(function, **links)), random(*shape)
    found = tracing.trace(model, x)
    assert ', '.join(words(found)) == name
    numpy.testing.assert_allclose(
        reference.run(found, x), scores(model, x), rtol=1e-5, atol=1e-6)


def test_operations_are_copies():
    model = Net(lambda s, x: s.l(x), l=L.Linear(6, 4))
    layer, = tracing.trace(model, random(1, 6))
    before = layer.W.values.copy()
    model.l.W.array[...] += 1
    model.l.b.array[...] += 1
    numpy.testing.assert_array_equal(layer.W.values, before)
    assert not layer.b.any()


def test_net_stays_as_it_was():
    model = Net(lambda s, x: s.b(F.dropout(s.l(x))), b=L.BatchNormalization(3),
                l=link_binary_linear.BinaryLinear(None, 3))
    tracing.trace(model, random(2, 5))
    assert not model.b.avg_mean.any()
    assert chainer.config.train


def test_float_weights_that_are_made_of_parameters():
    """Only what functions say is known: here it is no grid any more."""
    model = Net(lambda s, x: F.linear(x, .5 * bst.bst(s.l.W)),
                l=L.Linear(3, 2))
    layer, = tracing.trace(model, random(1, 3))
    assert layer.W.bits == 32 and layer.name == 'l'
    numpy.testing.assert_array_equal(
        layer.W.values, .5 * signs(model.l.W.array))


# ---- not supported


def linear(function):
    return Net(lambda s, x: function(s, s.l(x)), l=L.Linear(6, 6))


@pytest.mark.parametrize('function, message', [
    (lambda s, x: F.sigmoid(x), 'Sigmoid behind l is not supported: use relu'),
    (lambda s, x: F.softmax(x),
     'Softmax behind l is not supported: end the net with the scores'),
    (lambda s, x: x + F.linear(x, random(1, 6)),
     'Add behind l is not supported: only branches of the same shape'),
    (lambda s, x: _crossing(x), 'Add behind l is not supported: the branches '
     'of a sum or of a concatenation must not share values'),
    (lambda s, x: x[:, 1:], 'GetItem behind l is not supported: only each'),
    (lambda s, x: x * F.relu(x), 'Mul behind l is not supported: only the'),
    (lambda s, x: 2 - x, 'SubFromConstant behind l is not supported: suppor'),
    (lambda s, x: F.reshape(x, (2, 3)), 'Reshape behind l is not supported'),
    (lambda s, x: F.concat((x, x), axis=0),
     'Concat behind l is not supported: only results of branches, along'),
    (lambda s, x: F.concat((x, random(1, 2))),
     'Concat behind l is not supported: only results of branches, along'),
    (lambda s, x: _dense(x),
     'Concat behind l is not supported: the branches of a sum or of a'),
    (lambda s, x: (x, x), 'the net gives a tuple: return its scores'),
    (lambda s, x: F.linear(x, F.reshape(F.relu(x), (1, 6))),
     'LinearFunction behind l is not supported: its parameters must not'),
    (lambda s, x: F.absolute(x),
     'Absolute behind l is not supported: the mean of'),
    (lambda s, x: x * F.mean(F.absolute(F.relu(x)), axis=1, keepdims=True),
     'Mul behind l is not supported: only the scale of the operand'),
    (lambda s, x: F.relu(F.pad(F.reshape(x, (1, 1, 2, 3)), 1, 'constant')),
     'Reshape behind l is not supported: reshape to'),
    (lambda s, x: chainer.Variable(x.array), 'the graph does not lead'),
])
def test_not_supported(function, message):
    with pytest.raises(errors.UserError) as e:
        tracing.trace(linear(function), random(1, 6))
    assert str(e.value).startswith(message) and '\n' not in str(e.value)


def test_not_supported_of_images():
    x = random(1, 2, 4, 4)
    pads = (0, 0), (0, 0), (1, 1), (1, 1)
    for function, message in (
            (F.sigmoid, 'Sigmoid on the images is not supported'),
            (lambda x: F.pad(x, pads, 'edge'), 'Pad on the images is not'),
            (lambda x: F.relu(F.pad(x, pads, 'constant')), 'Pad before ReLU'),
            (lambda x: F.pad(x, pads, 'constant'), 'Pad at the end')):
        with pytest.raises(errors.UserError, match=message):
            tracing.trace(Net(lambda s, x, f=function: f(x)), x)
    model = Net(lambda s, x: s.l(x), l=L.Deconvolution2D(2, 1, 3))
    with pytest.raises(errors.UserError, match=(
            'Deconvolution2DFunction in l is not supported: supported are')):
        tracing.trace(model, x)
