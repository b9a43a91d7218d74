"""Scaled signs: values, the written formula, finite differences."""
import chainer
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

from zoo.xnor_net import function_scaled_binarize

scaled_binarize = function_scaled_binarize.scaled_binarize
# float16 has 11 bits, float32 has 24; sums are over at most 45 terms.
TOLERANCES = {numpy.float16: 1e-2, numpy.float32: 1e-5, numpy.float64: 1e-12}
SHAPES = [(4, 6), (3, 2, 3, 5), (1, 1), (5, 1, 1, 1), (2, 3, 4)]


def random(*shape, dtype=numpy.float64, size=2):
    return numpy.random.uniform(-size, size, shape).astype(dtype)


def sign(W):
    return numpy.where(W < 0, -1., 1.)


def scaled_by_loop(W, g):
    """Value and gradient of the scaled signs, as the formula is written."""
    y = numpy.empty(W.shape)
    gW = numpy.empty(W.shape)
    for f in range(len(W)):
        w, gf = W[f].astype('d').ravel(), g[f].astype('d').ravel()
        n = len(w)
        alpha = sum(abs(w)) / n
        common = sum(gf[j] * (1 if w[j] >= 0 else -1) for j in range(n))
        for i in range(n):
            s = 1 if w[i] >= 0 else -1
            index = (f, *numpy.unravel_index(i, W.shape[1:]))
            y[index] = alpha * s
            gW[index] = s / n * common + (
                gf[i] * alpha if abs(w[i]) <= 1 else 0)
    return y, gW


def gradient(W, g, straight_through=False):
    W = chainer.Variable(W)
    y = scaled_binarize(W, straight_through)
    y.grad = g
    y.backward()
    return W.grad


def test_by_hand():
    for dtype in TOLERANCES:
        W = numpy.array([[-3, 1, 0, -0.], [.5, -.5, 1, 2]], dtype)
        g = numpy.array([[4, 8, -2, 6], [1, 2, 3, 2]], dtype)
        # alpha: 1 and 1
        numpy.testing.assert_array_equal(
            scaled_binarize(W).array, [[-1, 1, 1, 1], [1, -1, 1, 1]])
        # Sums of g * sign: 8 and 4, divided by n = 4 each.  Only -3 and 2
        # lose the second term; the gradient passes at 1.
        numpy.testing.assert_array_equal(
            gradient(W, g),
            [[-2, 2 + 8, 2 - 2, 2 + 6], [1 + 1, -1 + 2, 1 + 3, 1]])
        numpy.testing.assert_array_equal(gradient(W, g, True), g)


def test_against_loop():
    for dtype, tolerance in TOLERANCES.items():
        for shape in SHAPES:
            W = random(*shape, dtype=dtype)
            W.flat[0] = 0
            g = random(*shape, dtype=dtype, size=1)
            y, gW = scaled_binarize(W).array, gradient(W, g)
            assert y.dtype == gW.dtype == dtype
            for actual, expected in zip(
                    (y, gW), scaled_by_loop(W, g), strict=True):
                numpy.testing.assert_allclose(
                    actual, expected, rtol=tolerance, atol=tolerance)


def test_gradient_against_finite_differences():
    # Its smooth part: the signs, and what passes the mask, are constants.
    # W * mask stands for the sign, whose estimator has slope 1 there, times
    # the alpha of the middle; alpha(W) is |W| times the constant signs.
    for shape in (4, 6), (3, 2, 3, 5):
        for size in 1, 3:
            W, g = random(*shape, size=size), random(*shape)
            # Away from 0, where a step would cross the kink of |W|.
            W[abs(W) < .01] = .5
            signs, mask = sign(W), abs(W) <= 1
            assert mask.any() and mask.all() == (size == 1)
            axes = tuple(range(1, len(shape)))
            middle = abs(W).mean(axis=axes, keepdims=True)

            def through_alpha(W=W, axes=axes, signs=signs):
                return abs(W).mean(axis=axes, keepdims=True) * signs,

            def through_sign(W=W, middle=middle, mask=mask):
                return middle * numpy.where(mask, W, 0),

            alpha_term, = gradient_check.numerical_grad(
                through_alpha, (W,), (g,), eps=1e-4)
            sign_term, = gradient_check.numerical_grad(
                through_sign, (W,), (g,), eps=1e-4)
            actual = gradient(W, g)
            numpy.testing.assert_allclose(
                actual, alpha_term + sign_term, rtol=1e-6, atol=1e-8)
            # Outside the mask only the term of alpha is left.
            numpy.testing.assert_allclose(
                actual[~mask], alpha_term[~mask], rtol=1e-6, atol=1e-8)


def test_zero_filter():
    W, g = numpy.zeros((1, 4)), numpy.array([[1., 2., 3., -2.]])
    numpy.testing.assert_array_equal(scaled_binarize(W).array, W)
    # alpha is 0, its derivative at 0 takes sign(0) = +1.
    numpy.testing.assert_array_equal(gradient(W, g), [[1, 1, 1, 1]])


def test_double_backward_in_g():
    # The gradient is linear in g: the Jacobian's transpose, from double
    # backward, has to give the same bilinear form.
    for shape in (4, 6), (3, 2, 3, 5):
        W, u, v = (random(*shape) for _ in range(3))
        g, W_ = chainer.Variable(u), chainer.Variable(W)
        gW, = chainer.grad(
            [scaled_binarize(W_)], [W_], [g], enable_double_backprop=True)
        gg, = chainer.grad([gW], [g], [chainer.Variable(v)])
        numpy.testing.assert_allclose(
            gradient(W, 2 * u - 3 * v), 2 * gW.array - 3 * gradient(W, v),
            rtol=1e-9, atol=1e-12)
        numpy.testing.assert_allclose(
            (gg.array * u).sum(), (gW.array * v).sum(), rtol=1e-9)
        expected, = gradient_check.numerical_grad(
            lambda W=W, u=u: (gradient(W, u),), (u,), (v,), eps=1e-3)
        numpy.testing.assert_allclose(
            gg.array, expected, rtol=1e-6, atol=1e-8)


def test_wrong_arguments():
    for dtype in 'i', 'u1', '?':
        with pytest.raises(type_check.InvalidType):
            scaled_binarize(numpy.ones((2, 3), dtype))
    for shape in (), (3,):
        with pytest.raises(type_check.InvalidType):
            scaled_binarize(numpy.ones(shape))


def test_gradient_does_not_overflow_in_float16():
    W = numpy.full((1, 4096), .5, numpy.float16)
    g = numpy.full((1, 4096), 20, numpy.float16)
    numpy.testing.assert_array_equal(gradient(W, g), 30)  # 20 * 1 + 20 * 0.5
