"""Batch normalization and sign or ReLU in one operation, against the two."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer.utils import type_check

import bst
from bnn.chainer_ops import function_batch_normalization
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from zoo.binarynet import function_normalized_sign
from zoo.xnor_net import function_normalized_relu

BatchNormalization = link_batch_normalization.BatchNormalization
SHAPES = (6, 3), (5, 3, 4), (4, 3, 2, 5), (20, 3, 33, 65), (1, 3, 2, 2)
OPTIONS = {}, {'use_gamma': False, 'use_beta': False}, {'decay': .5}


def normal(*shape, dtype='f'):
    return numpy.random.standard_normal(shape).astype(dtype)


def sign_in_parts(x, bn):
    return bst.bst(bn(x))


def relu_in_parts(x, bn):
    return function_relu.relu(bn(x))


@pytest.fixture(params=['sign', 'relu'])
def case(request):
    """An operation, its parts, and the class of its creator."""
    return {
        'sign': (function_normalized_sign.normalized_sign, sign_in_parts,
                 function_normalized_sign.NormalizedSign),
        'relu': (function_normalized_relu.normalized_relu, relu_in_parts,
                 function_normalized_relu.NormalizedReLU)}[request.param]


def run(function, bn, x, gy):
    """Returns the results of a step of training: arrays, creator."""
    bn.cleargrads()
    v = chainer.Variable(x)
    y = function(v, bn)
    y.grad = gy
    y.backward()
    return [y.array, bn.avg_mean, bn.avg_var, v.grad, *(
        param.grad for _, param in sorted(bn.namedparams()))], y.creator


def pair(dtype='f', **options):
    bn = BatchNormalization(3, eps=1e-3, dtype=dtype, **options)
    for param in bn.params():
        param.array[...] = normal(3)
    return bn, bn.copy(mode='copy')


def test_as_the_parts(case):
    fused, in_parts, kind = case
    for dtype in 'f', 'd':
        for options in OPTIONS:
            for shape in SHAPES:
                x, gy = normal(*shape, dtype=dtype), normal(
                    *shape, dtype=dtype)
                (ours, creator), (parts, _) = (
                    run(function, bn, x, gy) for function, bn in zip(
                        (fused, in_parts), pair(dtype, **options),
                        strict=True))
                assert isinstance(creator, kind)
                for a, b in zip(ours[:3], parts[:3], strict=True):
                    assert a.dtype == dtype
                    assert a.tobytes() == b.tobytes()
                # Sums of float64, perhaps in another order
                tolerance = 1e-6 if dtype == 'f' else 1e-11
                for a, b in zip(ours[3:], parts[3:], strict=True):
                    numpy.testing.assert_allclose(
                        a, b, rtol=tolerance, atol=tolerance)


def test_against_chainer(case):
    fused, in_parts, _ = case
    bn, _ = pair('d')
    x, gy = normal(8, 3, 5, dtype='d'), normal(8, 3, 5, dtype='d')
    theirs = L.BatchNormalization(3, eps=1e-3, dtype='d')
    theirs.copyparams(bn)
    for a, b in zip(*(run(*args, x, gy)[0] for args in (
            (fused, bn), (in_parts, theirs))), strict=True):
        numpy.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_where_it_is_the_parts(case):
    fused, in_parts, kind = case

    def is_fused(bn, x):
        creator = fused(x, bn).creator
        return isinstance(creator, kind)

    bn, x = pair()[0], normal(6, 3)
    assert is_fused(bn, x)
    with chainer.using_config('train', False):
        assert not is_fused(bn, x)
        numpy.testing.assert_array_equal(
            fused(x, bn).array, in_parts(x, bn).array)
    assert not is_fused(pair('e')[0], normal(6, 3, dtype='e'))
    assert not is_fused(BatchNormalization(axis=(0, 1)), normal(6, 4, 3))
    calls = []

    def operation(*args, **averages):
        calls.append(averages)
        return function_batch_normalization.batch_normalization(
            *args, **averages)

    bn.train_operation = operation
    assert not is_fused(bn, x)
    assert len(calls) == 1
    with pytest.warns(UserWarning, match='no more than one sample'):
        fused(normal(1, 3), pair()[0])


def test_without_backprop(case):
    fused, in_parts, _ = case
    bn, other = pair()
    x = normal(6, 3)
    with chainer.no_backprop_mode():
        numpy.testing.assert_array_equal(
            fused(x, bn).array, in_parts(x, other).array)
    numpy.testing.assert_array_equal(bn.avg_mean, other.avg_mean)


def test_statistics_stay_in_recomputing(case):
    fused, *_ = case
    bn, _ = pair()
    with chainer.using_config('in_recomputing', True):
        fused(normal(6, 3), bn)
    assert (bn.avg_mean == 0).all()


def test_double_backward(case):
    fused, in_parts, _ = case
    x, gy, ggx = (normal(6, 3, 4, dtype='d') for _ in range(3))
    gradients = []
    for function, bn in zip((fused, in_parts), pair('d'), strict=True):
        v, g = chainer.Variable(x), chainer.Variable(gy)
        gx, = chainer.grad([function(v, bn)], [v], [g],
                           enable_double_backprop=True)
        gradients.append(chainer.grad([F.sum(gx * ggx)], [v, g, bn.gamma]))
    for a, b in zip(*gradients, strict=True):
        numpy.testing.assert_allclose(a.array, b.array, rtol=1e-7, atol=1e-9)


def test_bad_types(case):
    fused, *_ = case
    with pytest.raises(type_check.InvalidType):
        fused(numpy.zeros((6, 3), int), pair()[0])
