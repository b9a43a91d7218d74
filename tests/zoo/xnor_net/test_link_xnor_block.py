"""XNOR-Net's blocks: against NumPy in float64, option by option."""
import itertools
import unittest

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import testing

import link_binary_linear
import weight_clip
from zoo.binarynet import link_binary_convolution_2d
from zoo.xnor_net import hooks
from zoo.xnor_net import link_xnor_block

XNORConvolution2D = link_xnor_block.XNORConvolution2D
XNORLinear = link_xnor_block.XNORLinear


def normal(*shape, dtype=numpy.float64):
    return numpy.random.normal(0, 1, shape).astype(dtype)


def by_channel(array, x):
    return array.reshape((1, -1) + (1,) * (x.ndim - 2))


def disturb(model):
    """Gives every parameter and statistic a value of its own."""
    for name, param in model.namedparams():
        if not name.endswith('/W'):
            param.array[...] += numpy.random.uniform(-.3, .3, param.shape)
    for link in model.links():
        if isinstance(link, L.BatchNormalization):
            shape = link.avg_mean.shape
            link.avg_mean[...] = numpy.random.uniform(-.5, .5, shape)
            link.avg_var[...] = numpy.random.uniform(.5, 2, shape)
    return model


def expected_block(block, x, operate, scale, binary, scaled, shift, train):
    """The block in the order of its parts, from its parameters alone."""
    bn = block.bn
    axes = (0, *range(2, x.ndim))
    mean, var = (x.mean(axis=axes), x.var(axis=axes)) if train else (
        bn.avg_mean, bn.avg_var)
    h = by_channel(bn.gamma.array, x) * (x - by_channel(mean, x)) / (
        numpy.sqrt(by_channel(var, x) + 1e-4)) + by_channel(bn.beta.array, x)
    layer = getattr(block, 'conv', None) or block.linear
    W = layer.W.array
    K = scale(h) if scale else 1
    if binary:
        axes = tuple(range(1, W.ndim))
        alpha = abs(W).mean(axis=axes, keepdims=True) if scaled else 1
        W = numpy.where(W >= 0, 1., -1.) * alpha
        if shift:
            h = h - by_channel(block.sign.alpha.array, h)
        h = numpy.where(h >= 0, 1., -1.)
    y = operate(h, W) * K
    y += by_channel((block.bias if scale else layer).b.array, y)
    if not shift:
        return numpy.maximum(y, 0)
    y -= by_channel(block.rprelu.gamma.array, y)
    return by_channel(block.rprelu.zeta.array, y) + y * numpy.where(
        y > 0, 1, by_channel(block.rprelu.beta.array, y))


@pytest.mark.parametrize(
    'binary,scaled,input_scale,shift,train',
    list(itertools.product([True, False], repeat=5)))
def test_convolution(binary, scaled, input_scale, shift, train):
    with chainer.using_config('dtype', numpy.float64):
        block = disturb(XNORConvolution2D(
            4, 5, (3, 2), (1, 2), (2, 1), binary=binary, scaled=scaled,
            input_scale=input_scale, shift=shift))
        x = normal(6, 4, 5, 6)

        def operate(h, W):
            return F.convolution_2d(h, W, None, (1, 2), (2, 1)).array

        def scale(h):
            size = abs(h).mean(axis=1, keepdims=True)
            return operate(size, numpy.full((1, 1, 3, 2), 1 / 6))

        expected = expected_block(
            block, x, operate, scale if binary and input_scale else None,
            binary, scaled, shift, train)
        with chainer.using_config('train', train):
            y = block(x)
    assert y.dtype == numpy.float64
    numpy.testing.assert_allclose(y.array, expected, atol=1e-9)


@pytest.mark.parametrize(
    'channels,binary,input_scale,shift',
    list(itertools.product([None, 3], *[[True, False]] * 3)))
def test_linear(channels, binary, input_scale, shift):
    with chainer.using_config('dtype', numpy.float64):
        block = disturb(XNORLinear(
            12, 5, channels, binary=binary, input_scale=input_scale,
            shift=shift))
        x = normal(7, 3, 2, 2)

        def operate(h, W):
            return h.reshape(7, 12) @ W.T

        def scale(h):
            return abs(h).reshape(7, 12).mean(axis=1, keepdims=True)

        expected = expected_block(
            block, x if channels else x.reshape(7, 12), operate,
            scale if binary and input_scale else None, binary, True, shift,
            True)
        y = block(x)
    numpy.testing.assert_allclose(y.array, expected, atol=1e-9)


@pytest.mark.parametrize('input_scale', [True, False])
@pytest.mark.parametrize('shift', [True, False])
def test_parts(shift, input_scale):
    for binary in True, False:
        options = {'binary': binary, 'shift': shift,
                   'input_scale': input_scale}
        conv, linear = XNORConvolution2D(2, 3, 3, **options), XNORLinear(
            8, 3, 2, **options)
        for block, name, types in (
                (conv, 'conv', (
                    link_binary_convolution_2d.BinaryConvolution2D,
                    L.Convolution2D)),
                (linear, 'linear', (
                    link_binary_linear.BinaryLinear, L.Linear))):
            assert type(block[name]) is types[not binary]
            expected = {'bn', name}
            if shift:
                expected |= {'sign', 'rprelu'} if binary else {'rprelu'}
            if binary and input_scale:
                expected.add('bias')
                assert block.bias.b.shape == (3,)
                assert block[name].b is None
            assert {link.name for link in block.children()} == expected
            assert block.bn.eps == 1e-4
            assert block.bn.gamma.shape == (2,)
            if binary:
                assert block[name].scaled


def test_initial_weights():
    for block in (XNORConvolution2D(2, 3, 3, initialW=.5),
                  XNORConvolution2D(2, 3, 3, initialW=.5, binary=False)):
        assert (block.conv.W.array == .5).all()
        assert (block.conv.b.array == 0).all()
    assert (XNORLinear(2, 3, initialW=.5).linear.W.array == .5).all()


def test_float_twin_begins_with_the_same_weights():
    weights = []
    for binary in True, False:
        numpy.random.seed(0)
        weights.append(XNORConvolution2D(2, 3, 3, binary=binary).conv.W.array)
    numpy.testing.assert_array_equal(*weights)


@pytest.mark.parametrize('binary', [True, False])
def test_dropout(binary):
    block = XNORConvolution2D(1, 1, 1, initialW=1, dropout=.25, binary=binary)
    x = normal(1, 1, 60, 60, dtype='f')
    h = block.bn(x).array
    size = 1 if binary else h
    # Behind the sign, in front of the layer: a third value, 0
    y = block(x).array
    kept = numpy.where(h > 0, 4 / 3 * size, 0)
    dropped = (y == 0) & (h > 0)
    numpy.testing.assert_allclose(y[~dropped], kept[~dropped], rtol=1e-3)
    assert abs(dropped.sum() / (h > 0).sum() - .25) < .06
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(block(x).array, block(x).array)


def test_no_dropout_draws_no_numbers():
    block = XNORConvolution2D(1, 1, 1)
    state = numpy.random.get_state()[1].copy()
    block(numpy.ones((2, 1, 3, 3), 'f'))
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)


@pytest.mark.parametrize('shift', [True, False])
def test_surrogate(shift):
    grads = []
    for surrogate in 'ste', 'approx-sign':
        numpy.random.seed(0)
        block = XNORConvolution2D(2, 4, 3, surrogate=surrogate, shift=shift)
        x = chainer.Variable(normal(3, 2, 6, 6, dtype='f'))
        y = block(x)
        y.grad = normal(*y.shape, dtype='f')
        y.backward()
        grads.append(x.grad)
    assert abs(grads[0] - grads[1]).max() > 1e-3


def test_options_that_are_not_there():
    with pytest.raises(TypeError, match='shifts'):
        XNORConvolution2D(2, 4, 3, shifts=True)


@pytest.mark.parametrize('make', [
    lambda scaled: XNORConvolution2D(3, 4, 3, scaled=scaled),
    lambda scaled: XNORLinear(75, 4, channels=3, scaled=scaled)])
def test_scale_with_the_plain_gradient(make):
    x = normal(4, 3, 5, 5, dtype='f')
    results = []
    for scaled in True, 'ste', False:
        block = make(scaled)
        link = next(child for child in block.children()
                    if hasattr(child, 'w_bits'))
        link.W.array[...] = numpy.random.RandomState(0).randn(*link.W.shape)
        block.cleargrads()
        y = block(x)
        y.grad = numpy.ones_like(y.array)
        y.backward()
        alpha = abs(link.W.array).mean(
            axis=tuple(range(1, link.W.ndim)), keepdims=True)
        results.append((y.array, link.W.grad, alpha))
    (y, grad, _), (y_ste, grad_ste, _), (_, grad_plain, _) = results
    numpy.testing.assert_array_equal(y, y_ste)
    assert abs(grad - grad_ste).max() > 1e-3
    # alpha > 0 does not change where the ReLU passes, nor the sign's input
    numpy.testing.assert_allclose(grad_ste, grad_plain, rtol=1e-5, atol=1e-5)


def test_hooks_find_the_layer():
    model = chainer.Sequential(
        XNORConvolution2D(2, 4, 3), XNORLinear(16, 3, scaled=False))
    optimizer = chainer.optimizers.SGD().setup(model)
    assert len(weight_clip.unbounded_weights(optimizer)) == 2
    model[0].conv.W.array[...] = 3
    hooks.add_to(model)
    assert (model[0].conv.W.array == 0).all()
    assert weight_clip.unbounded_weights(optimizer) == []


@testing.parameterize(*testing.product({
    'make': [lambda **options: XNORConvolution2D(3, 4, 3, pad=1, **options),
             lambda **options: XNORLinear(75, 4, channels=3, **options)],
    'binary': [True, False], 'shift': [True, False]}))
@testing.inject_backend_tests(['test_gradients'], [{}, {'use_cuda': True}])
class TestGradients(unittest.TestCase):

    def test_gradients(self, backend_config):
        block = self.make(
            binary=self.binary, shift=self.shift, input_scale=True,
            dropout=.1)
        device = backend_config.device
        block.to_device(device)
        block.cleargrads()
        with chainer.using_device(device):
            y = block(device.send(normal(4, 3, 5, 5, dtype='f')))
            y.grad = device.send(normal(*y.shape, dtype='f'))
            y.backward()
        assert isinstance(y.array, device.supported_array_types)
        for name, param in block.namedparams():
            assert isinstance(param.grad, device.supported_array_types)
            assert 0 < float(abs(param.grad).max()) < 1e4, name


testing.run_module(__name__, __file__)
