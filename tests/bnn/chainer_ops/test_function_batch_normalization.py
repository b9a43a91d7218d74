import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

import bst
from bnn.chainer_ops.function_batch_normalization import batch_normalization
from bnn.chainer_ops.function_batch_normalization import (
    fixed_batch_normalization,
)

SHAPES = (6, 3), (5, 3, 4), (4, 3, 2, 5)


def normal(*shape, dtype='d'):
    return numpy.random.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize('sign', [False, True])
@pytest.mark.parametrize('shape', SHAPES)
def test_against_chainer(shape, sign, kernels_of):
    args = [normal(*shape), normal(3), normal(3)]
    gy = normal(*shape)
    averages = [[normal(3), abs(normal(3))] for _ in range(2)]
    averages[1] = [a.copy() for a in averages[0]]
    results = []
    for function, (mean, var) in zip(
            (batch_normalization, F.batch_normalization), averages,
            strict=True):
        variables = [chainer.Variable(a.copy()) for a in args]
        y = function(*variables, eps=1e-3, running_mean=mean,
                     running_var=var, decay=.7, **(
                         {'sign': sign} if function is batch_normalization
                         else {}))
        if sign and function is not batch_normalization:
            y = bst.bst(y)
        y.grad = gy
        y.backward()
        results.append([y.array, *(v.grad for v in variables), mean, var])
    for ours, theirs in zip(*results, strict=True):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('shape', SHAPES)
def test_gradient_and_double_gradient(shape, kernels_of):
    args = normal(*shape), normal(3), normal(3)
    gradient_check.check_backward(
        lambda *xs: batch_normalization(*xs, eps=1e-2), args, normal(*shape),
        dtype='d', rtol=1e-3, atol=1e-4)
    gradient_check.check_double_backward(
        lambda *xs: batch_normalization(*xs, eps=1e-2), args, normal(*shape),
        [normal(*a.shape) for a in args], dtype='d', rtol=1e-3, atol=1e-3)


def test_double_backward_of_the_sign(kernels_of):
    x, weights = chainer.Variable(normal(6, 3)), normal(6, 3)
    gamma, beta = numpy.ones(3), numpy.zeros(3)
    results = []
    for y in (batch_normalization(x, gamma, beta, sign=True),
              bst.bst(F.batch_normalization(x, gamma, beta))):
        gx, = chainer.grad([F.sum(y * weights)], [x],
                           enable_double_backprop=True)
        results.append(chainer.grad([F.sum(gx * gx)], [x])[0].array)
    assert abs(results[0]).max() > 1e-3
    numpy.testing.assert_allclose(*results, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('sign', [False, True])
@pytest.mark.parametrize('shape', SHAPES)
def test_fixed(shape, sign, kernels_of):
    x, gamma, beta, mean = normal(*shape), normal(3), normal(3), normal(3)
    var = abs(normal(3))
    y = fixed_batch_normalization(x, gamma, beta, mean, var, 1e-3, sign)
    expected = F.fixed_batch_normalization(
        x, gamma, beta, mean, var, 1e-3).array
    if sign:
        expected = bst.bst(expected).array
    numpy.testing.assert_allclose(y.array, expected, rtol=1e-9, atol=1e-9)
    assert bst.is_binary(y) == sign


@pytest.mark.parametrize('args', [
    (numpy.ones((2, 3), int), numpy.ones(3, int), numpy.ones(3, int)),
    (numpy.ones(3), numpy.ones(3), numpy.ones(3)),
    (numpy.ones((2, 3)), numpy.ones(2), numpy.ones(2)),
    (numpy.ones((2, 3)), numpy.ones(3, 'f'), numpy.ones(3)),
    (numpy.ones((2, 3)), numpy.ones(3), numpy.ones(2)),
])
def test_bad_types(args):
    with pytest.raises(type_check.InvalidType):
        batch_normalization(*args)
