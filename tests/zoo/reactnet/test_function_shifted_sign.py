"""RSign in one operation: the chain of functions that it is."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.utils import type_check

from zoo.reactnet import function_shifted_sign
from zoo.surrogates import sign

shifted_sign = function_shifted_sign.shifted_sign


def in_parts(x, alpha, surrogate='ste'):
    return sign.sign(F.bias(x, -alpha), surrogate)


def case(*shape, dtype='d'):
    normal = numpy.random.standard_normal
    x, gy = normal((2, *shape)).astype(dtype)
    alpha = normal(shape[1]).astype(dtype)
    x[:, 0] = alpha[0] = .5  # a tie
    return x, alpha, gy


def run(function, x, alpha, gy, surrogate):
    x, alpha = chainer.Variable(x), chainer.Variable(alpha)
    y = function(x, alpha, surrogate)
    y.grad = gy
    y.backward()
    return [y.array, x.grad, alpha.grad], type(y.creator).__name__


@pytest.mark.parametrize('surrogate', sign.GRADIENTS)
@pytest.mark.parametrize('dtype, tolerance', [
    ('f', 1e-5), ('d', 1e-12), ('e', 0)])
def test_against_parts(dtype, tolerance, surrogate):
    for shape in (4, 3, 5, 6), (30, 8, 20, 21), (2, 3, 7), (6, 3):
        x, alpha, gy = case(*shape, dtype=dtype)
        ours, name = run(shifted_sign, x, alpha, gy, surrogate)
        theirs, _ = run(in_parts, x, alpha, gy, surrogate)
        assert (name == 'ShiftedSign') == (dtype != 'e' and len(shape) > 2)
        numpy.testing.assert_array_equal(ours[0], theirs[0])
        for a, b, n in zip(ours[1:], theirs[1:], (1, gy[:, 0].size),
                           strict=True):
            assert a.dtype == dtype
            numpy.testing.assert_allclose(
                a, b, rtol=tolerance, atol=tolerance * n)


def test_not_finite():
    nan, inf = numpy.nan, numpy.inf
    values = numpy.array([nan, inf, -inf, 0., -0., 1, -1])
    for surrogate in sign.GRADIENTS:
        for x in values:
            for g in values:
                with numpy.errstate(invalid='ignore'):
                    ours, theirs = (run(
                        function, numpy.full((1, 1, 1), x), numpy.zeros(1),
                        numpy.full((1, 1, 1), g), surrogate)[0]
                        for function in (shifted_sign, in_parts))
                for a, b in zip(ours, theirs, strict=True):
                    numpy.testing.assert_allclose(a, b, rtol=1e-12)


def test_double_backward():
    x, alpha, gy = case(4, 3, 5)
    found = []
    for function in shifted_sign, in_parts:
        v = chainer.Variable(x), chainer.Variable(alpha)
        g = chainer.Variable(gy)
        gx, galpha = chainer.grad([function(*v)], v, [g],
                                  enable_double_backprop=True)
        found += chainer.grad(
            [F.sum(gx ** 2) + F.sum(galpha ** 2)], [g])
    numpy.testing.assert_allclose(
        *(one.array for one in found), rtol=1e-9, atol=1e-9)
    v = chainer.Variable(x), chainer.Variable(alpha)
    g = chainer.Variable(gy)
    gx, _ = chainer.grad([shifted_sign(*v, 'approx-sign')], v, [g],
                         enable_double_backprop=True)
    with pytest.raises(NotImplementedError, match='use ste'):
        chainer.grad([F.sum(gx ** 2)], [g])


def test_bad_arguments():
    x, alpha, _ = case(2, 3, 4, dtype='f')
    for wrong in ((chainer.Variable(x.astype(int)), alpha),
                  (x[:, :2], alpha), (x, alpha.astype('d'))):
        with pytest.raises(type_check.InvalidType):
            shifted_sign(*wrong)
    with pytest.raises(ValueError, match='no surrogate gradient'):
        shifted_sign(x, alpha, 'tanh')
