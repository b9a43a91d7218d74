"""XNOR-Net's blocks: against NumPy in float64, option by option."""
import functools
import itertools

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

from bnn.deploy import operations
from bnn.deploy import tracing
from zoo.xnor_net import link_xnor_block
from zoo.xnor_net import nin

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


def test_convolution():
    for binary, scaled, input_scale, shift, train in itertools.product(
            [True, False], repeat=5):
        with chainer.using_config('dtype', numpy.float64):
            block = disturb(XNORConvolution2D(
                4, 5, (3, 2), (1, 2), (2, 1), binary=binary, scaled=scaled,
                input_scale=input_scale, shift=shift))
        x = normal(6, 4, 5, 6)

        def operate(h, W):
            return F.convolution_2d(h, W, None, (1, 2), (2, 1)).array

        def scale(h, operate=operate):
            size = abs(h).mean(axis=1, keepdims=True)
            return operate(size, numpy.full((1, 1, 3, 2), 1 / 6))

        expected = expected_block(
            block, x, operate, scale if binary and input_scale else None,
            binary, scaled, shift, train)
        with chainer.using_config('train', train):
            y = block(x)
        assert y.dtype == numpy.float64
        numpy.testing.assert_allclose(y.array, expected, atol=1e-9)


def test_linear():
    def operate(h, W):
        return h.reshape(7, 12) @ W.T

    def scale(h):
        return abs(h).reshape(7, 12).mean(axis=1, keepdims=True)

    for channels, binary, input_scale, shift in itertools.product(
            [None, 3], *[[True, False]] * 3):
        with chainer.using_config('dtype', numpy.float64):
            block = disturb(XNORLinear(
                12, 5, channels, binary=binary, input_scale=input_scale,
                shift=shift))
        x = normal(7, 3, 2, 2)
        expected = expected_block(
            block, x if channels else x.reshape(7, 12), operate,
            scale if binary and input_scale else None, binary, True, shift,
            True)
        numpy.testing.assert_allclose(block(x).array, expected, atol=1e-9)


def test_parts():
    for shift, input_scale, binary, scaled in itertools.product(
            [True, False], repeat=4):
        options = {'binary': binary, 'shift': shift, 'scaled': scaled,
                   'input_scale': input_scale}
        conv, linear = XNORConvolution2D(2, 3, 3, **options), XNORLinear(
            8, 3, 2, **options)
        prefix = ('Scaled' if scaled else 'Binary') if binary else ''
        for block, name, kind in ((conv, 'conv', 'Convolution2D'),
                                  (linear, 'linear', 'Linear')):
            assert type(block[name]).__name__ == prefix + kind
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
            if binary and scaled:
                assert block[name].scaled is True


def blocks_of(**options):
    """Returns blocks, the second one with dropout."""
    return disturb(chainer.ChainList(
        XNORConvolution2D(3, 8, 3, pad=1, **options),
        XNORConvolution2D(8, 6, 1, dropout=.5, **options),
        XNORConvolution2D(6, 5, 1, **options),
        XNORConvolution2D(5, 40, 2, stride=2, **options),
        XNORConvolution2D(40, 4, 1, **options)))


def shifted_in_the_middle():
    net = blocks_of()
    net[2] = disturb(XNORConvolution2D(6, 5, 1, shift=True))
    return net


def one_by_one(h, *blocks):
    for block in blocks:
        h = block(h)
    return h


@pytest.mark.parametrize('make', [
    blocks_of, shifted_in_the_middle, *(
        functools.partial(blocks_of, **options) for options in (
            {'binary': False}, {'shift': True}, {'input_scale': True},
            {'surrogate': 'approx-sign'}, {'scaled': False}))])
def test_in_turn(make):
    """One after the other, to the bit, in training and in a test."""
    net = make()
    x = normal(6, 3, 8, 8, dtype=numpy.float32)

    def step(function, n):
        copy, v = net.copy('copy'), chainer.Variable(x)
        numpy.random.seed(0)
        copy.cleargrads()
        y = function(v, *list(copy)[:n])
        y.grad = normal(*y.shape, dtype=numpy.float32)
        y.backward()
        return [y.array, v.grad, *(
            param.grad for _, param in sorted(copy.namedparams())
            if param.grad is not None), *(
            value for _, value in sorted(persistents(copy)))]

    for train in True, False:
        with chainer.using_config('train', train):
            for n in 5, 1:
                for ours, expected in zip(
                        step(link_xnor_block.in_turn, n),
                        step(one_by_one, n), strict=True):
                    assert ours.tobytes() == expected.tobytes()


def test_in_turn_without_passes_for_relu():
    y = link_xnor_block.in_turn(
        normal(6, 3, 8, 8, dtype=numpy.float32), *blocks_of())
    functions, node = [], y.creator_node
    while node is not None:
        functions.append(type(node).__name__)
        node = node.inputs[0].creator_node
    # That before dropout stays, and the last one.
    assert functions.count('ReLU') == 2
    assert functions[0] == 'ReLU'
    assert functions.count('NormalizedSignConvolution') == 4


def test_in_turn_in_a_test_names_every_block():
    """Packed layers and graphs are named by the calls of the blocks."""
    found = tracing.trace(
        nin.NIN(10, input_scale=True), numpy.zeros((1, 3, 32, 32), 'f'))
    names = [operation.name for operation in found
             if isinstance(operation, operations.Sign)]
    assert names == [f'block{i}' for i in range(2, 9)]


def persistents(model):
    """Returns names and values of the running averages."""
    for name, link in model.namedlinks():
        for key in getattr(link, '_persistent', ()):
            yield f'{name}/{key}', numpy.array(getattr(link, key))


def test_initial_weights():
    for block in (XNORConvolution2D(2, 3, 3, initialW=.5),
                  XNORConvolution2D(2, 3, 3, initialW=.5, binary=False)):
        assert (block.conv.W.array == .5).all()
        assert (block.conv.b.array == 0).all()
    assert (XNORLinear(2, 3, initialW=.5).linear.W.array == .5).all()


def test_dropout():
    for binary in True, False:
        check_dropout(binary)


def check_dropout(binary):
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


def test_surrogate():
    for shift in True, False:
        grads = []
        for surrogate in 'ste', 'approx-sign':
            numpy.random.seed(0)
            block = XNORConvolution2D(
                2, 4, 3, surrogate=surrogate, shift=shift)
            x = chainer.Variable(normal(3, 2, 6, 6, dtype='f'))
            y = block(x)
            y.grad = normal(*y.shape, dtype='f')
            y.backward()
            grads.append(x.grad)
        assert abs(grads[0] - grads[1]).max() > 1e-3


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
