"""The layers of scaled signs: what they pass on, and their attributes."""
import chainer
import numpy
import pytest

from zoo.binarynet import function_binary_convolution_2d
from zoo.xnor_net import function_scaled_binarize
from zoo.xnor_net import function_scaled_linear
from zoo.xnor_net import link_scaled_convolution_2d
from zoo.xnor_net import link_scaled_linear

ScaledConvolution2D = link_scaled_convolution_2d.ScaledConvolution2D
ScaledLinear = link_scaled_linear.ScaledLinear


def random(*shape):
    return numpy.random.uniform(-1, 1, shape).astype('f')


def check(link, function, x, gy):
    """The layer is the operation on its parameters, with its gradient."""
    link.W.array[...] = 2 * random(*link.W.shape)
    link.cleargrads()
    y = link(x)
    y.grad = gy
    y.backward()
    W = chainer.Variable(link.W.array)
    expected = function(x, W, link.b.array)
    numpy.testing.assert_array_equal(y.array, expected.array)
    expected.grad = gy
    expected.backward()
    numpy.testing.assert_array_equal(link.W.grad, W.grad)


def test_linear():
    for scaled in True, 'ste':
        link = ScaledLinear(12, 4, scaled=scaled, initial_bias=.5)
        check(link, lambda x, W, b, scaled=scaled: (
            function_scaled_linear.scaled_linear(x, W, b, scaled == 'ste')),
            random(5, 3, 2, 2), random(5, 4))
        assert link.scaled == scaled and link.w_bits == 1
        assert dict(link.printable_specs)['scaled'] == scaled
    link = ScaledLinear(None, 4, nobias=True)
    assert link(random(2, 3, 5)).shape == (2, 4)
    assert link.W.shape == (4, 15) and link.b is None


def test_convolution():
    options = {'stride': (1, 2), 'pad': 1, 'dilate': 1, 'groups': 2,
               'pad_value': 1}
    for scaled in True, 'ste':
        link = ScaledConvolution2D(
            4, 6, (3, 2), scaled=scaled, initial_bias=.5, **options)

        def binarize(W, scaled=scaled):
            return function_scaled_binarize.scaled_binarize(
                W, scaled == 'ste')

        check(link, lambda x, W, b, binarize=binarize: (
            function_binary_convolution_2d.binary_convolution_2d(
                x, W, b, **options, binarize=binarize)),
            random(2, 4, 5, 6), random(2, 6, 5, 4))
        assert link.scaled == scaled and link.w_bits == 1
        specs = dict(link.printable_specs)
        assert specs['scaled'] == scaled and specs['groups'] == 2
    link = ScaledConvolution2D(None, 4, 3, nobias=True)
    assert link(random(2, 3, 5, 5)).shape == (2, 4, 3, 3)
    assert link.b is None


def test_forward_changes_no_weight():
    for link, x in ((ScaledLinear(6, 4), random(3, 6)),
                    (ScaledConvolution2D(2, 4, 3), random(2, 2, 5, 5))):
        link.W.array[...] = 3 * random(*link.W.shape)
        before = link.W.array.copy()
        for train in True, False:
            with chainer.using_config('train', train):
                chainer.functions.sum(link(x)).backward()
        numpy.testing.assert_array_equal(link.W.array, before)


def test_wrong_arguments():
    with pytest.raises(ValueError, match='positive'):
        ScaledLinear(3, 0)
    with pytest.raises(TypeError):
        ScaledLinear(3, 2, stochastic=True)
