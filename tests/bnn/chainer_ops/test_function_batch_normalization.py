"""Batch normalization in few passes against Chainer's."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

from bnn.chainer_ops import function_batch_normalization as ours

SHAPES = (6, 3), (5, 3, 4), (4, 3, 2, 5)


def normal(*shape, dtype='d'):
    return numpy.random.standard_normal(shape).astype(dtype)


def test_against_chainer():
    for shape in SHAPES:
        args, gy = [normal(*shape), normal(3), normal(3)], normal(*shape)
        averages = normal(3), abs(normal(3))
        results = []
        for function in ours.batch_normalization, F.batch_normalization:
            mean, var = (a.copy() for a in averages)
            variables = [chainer.Variable(a.copy()) for a in args]
            y = function(*variables, eps=1e-3, running_mean=mean,
                         running_var=var, decay=.7)
            y.grad = gy
            y.backward()
            results.append([y.array, *(v.grad for v in variables), mean, var])
        for a, b in zip(*results, strict=True):
            numpy.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_gradient_and_double_gradient():
    for shape in SHAPES:
        args, gy = (normal(*shape), normal(3), normal(3)), normal(*shape)
        gradient_check.check_backward(
            lambda *xs: ours.batch_normalization(*xs, eps=1e-2), args, gy,
            dtype='d', rtol=1e-3, atol=1e-4)
        gradient_check.check_double_backward(
            lambda *xs: ours.batch_normalization(*xs, eps=1e-2), args, gy,
            [normal(*a.shape) for a in args], dtype='d', rtol=1e-3, atol=1e-3)


def test_fixed():
    for shape in SHAPES:
        args = normal(*shape), normal(3), normal(3), normal(3), abs(normal(3))
        y = ours.fixed_batch_normalization(*args, 1e-3)
        numpy.testing.assert_allclose(
            y.array, F.fixed_batch_normalization(*args, 1e-3).array,
            rtol=1e-9, atol=1e-9)
        assert not y.requires_grad


def test_bad_types():
    one = numpy.ones
    for args in ((one((2, 3), int), one(3, int), one(3, int)),
                 (one(3), one(3), one(3)),
                 (one((2, 3)), one(2), one(2)),
                 (one((2, 3)), one(3, 'f'), one(3)),
                 (one((2, 3)), one(3), one(2))):
        with pytest.raises(type_check.InvalidType):
            ours.batch_normalization(*args)
