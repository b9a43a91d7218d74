"""Batch normalization, sign and convolution in one, against the parts."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.utils import type_check

from bnn.chainer_ops import function_batch_normalization
from bnn.chainer_ops import link_batch_normalization
from zoo.binarynet import function_binarize
from zoo.binarynet import function_binary_convolution_2d
from zoo.binarynet import function_normalized_sign
from zoo.binarynet import function_normalized_sign_convolution
from zoo.binarynet import link_binary_convolution_2d
from zoo.xnor_net import function_scaled_binarize

CASES = [  # images, filters, options
    ((4, 3, 5, 6), (7, 3, 1, 1), {}),
    ((5, 33, 9, 8), (4, 33, 3, 3), {'pad': 1}),
    ((3, 64, 7, 7), (40, 64, 3, 2), {'stride': (2, 1), 'pad': (0, 2),
                                     'dilate': (1, 2)}),
    ((1, 2, 4, 4), (1, 2, 4, 4), {}),
    ((6, 5, 4, 4), (9, 5, 1, 1), {'rectify': True}),
    ((4, 40, 9, 8), (4, 40, 3, 3), {'pad': 1, 'rectify': True}),
]
fused = function_normalized_sign_convolution.normalized_sign_convolution


def in_parts(x, bn, *args, rectify=False, **options):
    if rectify:
        x = F.relu(x)
    return function_binary_convolution_2d.binary_convolution_2d(
        function_normalized_sign.normalized_sign(x, bn), *args, **options)


def normal(*shape, dtype='f'):
    return numpy.random.standard_normal(shape).astype(dtype)


def case(shape, filters, dtype='f', **options):
    """Returns images, layer, filters and bias."""
    bn = link_batch_normalization.BatchNormalization(
        shape[1], eps=1e-3, dtype=dtype, **options)
    for param in bn.params():
        param.array[...] = normal(shape[1])
    return (normal(*shape, dtype=dtype), bn, normal(*filters, dtype=dtype),
            normal(filters[0], dtype=dtype))


def run(function, x, bn, W, b, **options):
    """Returns a step of training: arrays, the class of the creator."""
    bn = bn.copy('copy')
    bn.cleargrads()
    v = [chainer.Variable(a) for a in (x, W, *([] if b is None else [b]))]
    y = function(v[0], bn, *v[1:], **options)
    numpy.random.seed(1)
    y.grad = normal(*y.shape, dtype=y.dtype)
    y.backward()
    return [y.array, bn.avg_mean, bn.avg_var, *(a.grad for a in v), *(
        param.grad for _, param in sorted(bn.namedparams()))], type(y.creator)


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
@pytest.mark.parametrize('binarize', [
    function_binarize.binarize, function_scaled_binarize.scaled_binarize])
def test_as_the_parts(binarize, precision):
    with chainer.using_config('precision', precision):
        for shape, filters, options in CASES:
            for fixed in {}, {'use_gamma': False, 'use_beta': False}:
                x, bn, W, b = case(shape, filters, **fixed)
                for bias in b, None:
                    (ours, kind), (parts, _) = (
                        run(function, x, bn, W, bias, **options,
                            binarize=binarize)
                        for function in (fused, in_parts))
                    assert kind is (function_normalized_sign_convolution
                                    .NormalizedSignConvolution)
                    for one, other in zip(ours, parts, strict=True):
                        assert one.tobytes() == other.tobytes()


def test_where_it_is_the_parts():
    kind = function_normalized_sign_convolution.NormalizedSignConvolution
    shape, filters, _ = CASES[0]
    for dtype, options in (
            ('d', {}), ('e', {}), ('f', {'pad': 1, 'pad_value': 1}),
            ('f', {'binarize': None}), ('f', {'groups': 1}),
            ('d', {'rectify': True})):
        (ours, creator), (parts, _) = (
            run(function, *args, **options)
            for args in [case(shape, filters, dtype)]
            for function in (fused, in_parts))
        assert (creator is kind) == ('groups' in options)
        for one, other in zip(ours, parts, strict=True):
            numpy.testing.assert_array_equal(one, other)
    args = x, bn, W, b = case(shape, filters)
    bn.train_operation = function_batch_normalization.batch_normalization
    assert type(fused(*args).creator) is not kind
    x, bn, W, b = case((4, 6, 5, 5), (4, 3, 2, 2))
    assert run(fused, x, bn, W, b, groups=2)[1] is not kind
    with chainer.using_config('train', False):
        args = case(shape, filters)
        numpy.testing.assert_array_equal(
            fused(*args).array, in_parts(*args).array)


def test_double_backward():
    for shape, filters, options in CASES:
        x, bn, W, b = case(shape, filters)
        gradients = []
        for function in fused, in_parts:
            v, w = chainer.Variable(x), chainer.Variable(W)
            y = function(v, bn, w, b, **options)
            g = chainer.Variable(numpy.cos(numpy.arange(
                y.size, dtype='f')).reshape(y.shape))
            gx, gW = chainer.grad([y], [v, w], [g],
                                  enable_double_backprop=True)
            gradients.append(chainer.grad(
                [F.sum(gx * gx) + F.sum(gW * gW)], [v, g, bn.gamma]))
        for one, other in zip(*gradients, strict=True):
            numpy.testing.assert_allclose(
                one.array, other.array, rtol=1e-3,
                atol=1e-4 * abs(other.array).max())


def test_bad_input():
    x, bn, W, b = case(*CASES[0][:2])
    for args in ((x, bn, W[:, :2], b), (x, bn, W.astype('d'), b),
                 (x[:, :2], bn, W, b), (x, bn, W[..., 0], b),
                 (x, bn, W, b[:3]), (x, bn, W, b.astype('d')),
                 (x, bn, W, b[:, None])):
        with pytest.raises(type_check.InvalidType):
            fused(*args)
    x, bn, W, b = case(*CASES[0][:2])
    with pytest.raises(ValueError, match='pad_value'):
        fused(x, bn, W, b, pad_value=2)
    assert (bn.avg_mean == 0).all()


@pytest.mark.parametrize('options', [{}, {'stochastic': True}])
def test_layer(options):
    """``conv(x, bn)``: the layer binarizes, and its hooks see it."""
    x, bn, *_ = case(*CASES[1][:2])
    conv = link_binary_convolution_2d.BinaryConvolution2D(
        None, 7, 3, pad=1, **options)
    conv(x, bn)  # makes W
    results = []
    for fuse in True, False:
        numpy.random.seed(1)
        y = conv(x, bn) if fuse else conv(
            function_normalized_sign.normalized_sign(x, bn))
        conv.cleargrads()
        y.grad = numpy.ones_like(y.array)
        y.backward()
        results.append((y.array, conv.W.grad, conv.b.grad))
        assert (type(y.creator) is function_normalized_sign_convolution
                .NormalizedSignConvolution) == fuse
    for one, other in zip(*results, strict=True):
        numpy.testing.assert_array_equal(one, other)
