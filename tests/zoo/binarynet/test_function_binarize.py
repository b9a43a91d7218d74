"""Binarizers of weights: values, written formulas, finite differences."""
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer import testing
from chainer.utils import type_check

from zoo.binarynet import function_binarize

binarize = function_binarize.binarize
scaled_binarize = function_binarize.scaled_binarize
DTYPES = (numpy.float16, numpy.float32, numpy.float64)
# float16 has 11 bits, float32 has 24; sums are over at most 45 terms.
TOLERANCES = {
    numpy.float16: {'rtol': 1e-2, 'atol': 1e-2},
    numpy.float32: {'rtol': 1e-5, 'atol': 1e-6},
    numpy.float64: {'rtol': 1e-12, 'atol': 1e-14},
}
SHAPES = [(4, 6), (3, 2, 3, 5), (1, 1), (5, 1, 1, 1), (2, 3, 4)]


def random(*shape, dtype=numpy.float64, size=2):
    return numpy.random.uniform(-size, size, shape).astype(dtype)


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


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


def gradient(function, W, g):
    W = chainer.Variable(W)
    y = function(W)
    y.grad = g
    y.backward()
    return W.grad


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_signs', 'test_scaled', 'test_scaled_by_hand'],
    [{}, {'use_cuda': True}])
class TestBinarizers(unittest.TestCase):

    def variable(self, backend_config, values):
        return chainer.Variable(
            backend_config.get_array(numpy.array(values, self.dtype)))

    def test_signs(self, backend_config):
        W = self.variable(backend_config, [[-3, -.5, 0], [-0., 1e-7, 3]])
        y = binarize(W)
        numpy.testing.assert_array_equal(
            to_cpu(y.array), [[-1, -1, 1], [1, 1, 1]])
        assert y.dtype == self.dtype
        # Unmasked: |W| = 3 gets its gradient too.
        g = numpy.arange(6, dtype=self.dtype).reshape(2, 3)
        y.grad = backend_config.get_array(g)
        y.backward()
        numpy.testing.assert_array_equal(to_cpu(W.grad), g)
        assert W.grad.dtype == self.dtype

    def test_scaled_by_hand(self, backend_config):
        W = self.variable(backend_config, [[-3, 1, 0, -0.], [.5, -.5, 1, 2]])
        y = scaled_binarize(W)  # alpha: 1 and 1
        numpy.testing.assert_array_equal(
            to_cpu(y.array), [[-1, 1, 1, 1], [1, -1, 1, 1]])
        y.grad = backend_config.get_array(
            numpy.array([[4, 8, -2, 6], [1, 2, 3, 2]], self.dtype))
        y.backward()
        # Sums of g * sign: 8 and 4, divided by n = 4 each.  Only -3 and 2
        # lose the second term; the gradient passes at 1.
        numpy.testing.assert_array_equal(
            to_cpu(W.grad),
            [[-2, 2 + 8, 2 - 2, 2 + 6], [1 + 1, -1 + 2, 1 + 3, 1]])

    def test_scaled(self, backend_config):
        for shape in SHAPES:
            W = random(*shape, dtype=self.dtype)
            W.flat[0] = 0
            g = random(*shape, dtype=self.dtype, size=1)
            expected_y, expected_gW = scaled_by_loop(W, g)
            v = self.variable(backend_config, W)
            y = scaled_binarize(v)
            y.grad = backend_config.get_array(g)
            y.backward()
            assert y.dtype == v.grad.dtype == self.dtype
            assert y.shape == v.grad.shape == shape
            tolerance = TOLERANCES[self.dtype]
            numpy.testing.assert_allclose(
                to_cpu(y.array), expected_y, **tolerance)
            numpy.testing.assert_allclose(
                to_cpu(v.grad), expected_gW, **tolerance)


@pytest.mark.parametrize('shape', [(4, 6), (3, 2, 3, 5)])
@pytest.mark.parametrize('size', [1, 3])
def test_scaled_gradient_against_finite_differences(shape, size):
    # Its smooth part: the signs, and what passes the mask, are constants.
    # W * mask stands for the sign, whose estimator has slope 1 there, times
    # the alpha of the middle; alpha(W) is |W| times the constant signs.
    W, g = random(*shape, size=size), random(*shape)
    # Away from 0, where a step would cross the kink of |W|.
    W[abs(W) < .01] = .5
    signs, mask = sign(W), abs(W) <= 1
    assert mask.any()
    assert mask.all() == (size == 1)
    axes = tuple(range(1, len(shape)))
    middle = abs(W).mean(axis=axes, keepdims=True)

    def through_alpha():
        return abs(W).mean(axis=axes, keepdims=True) * signs,

    def through_sign():
        return middle * numpy.where(mask, W, 0),

    alpha_term, = gradient_check.numerical_grad(
        through_alpha, (W,), (g,), eps=1e-4)
    sign_term, = gradient_check.numerical_grad(
        through_sign, (W,), (g,), eps=1e-4)
    actual = gradient(scaled_binarize, W, g)
    numpy.testing.assert_allclose(
        actual, alpha_term + sign_term, rtol=1e-6, atol=1e-8)
    # Outside the mask only the term of alpha is left.
    numpy.testing.assert_allclose(
        actual[~mask], alpha_term[~mask], rtol=1e-6, atol=1e-8)


def test_filters_are_separate():
    W, g = random(3, 2, 4), random(3, 2, 4)
    together = gradient(scaled_binarize, W, g)
    for f in range(3):
        alone = gradient(scaled_binarize, W[f:f + 1], g[f:f + 1])
        numpy.testing.assert_allclose(together[f], alone[0], rtol=1e-12)
    numpy.testing.assert_allclose(
        scaled_binarize(W).array,
        sign(W) * abs(W).reshape(3, -1).mean(axis=1)[:, None, None],
        rtol=1e-12)


def test_zero_filter():
    W, g = numpy.zeros((1, 4)), numpy.array([[1., 2., 3., -2.]])
    numpy.testing.assert_array_equal(scaled_binarize(W).array, W)
    # alpha is 0, its derivative at 0 takes sign(0) = +1.
    numpy.testing.assert_array_equal(
        gradient(scaled_binarize, W, g), [[1, 1, 1, 1]])


@pytest.mark.parametrize('W', [
    numpy.nextafter(1., 2), -numpy.nextafter(1., 2), numpy.inf])
def test_mask_is_inclusive(W):
    inside = gradient(
        scaled_binarize, numpy.array([[1., -1.]]), numpy.array([[3., 0.]]))
    numpy.testing.assert_array_equal(inside, [[1.5 + 3, -1.5]])
    if numpy.isfinite(W):
        outside = gradient(
            scaled_binarize, numpy.array([[W, -1.]]),
            numpy.array([[3., 0.]]))
        s = numpy.sign(W)
        numpy.testing.assert_array_equal(outside, [[1.5, -1.5 * s]])
    # The plain estimator has no mask at all.
    numpy.testing.assert_array_equal(
        gradient(binarize, numpy.array([W]), numpy.array([3.])), [3])


@pytest.mark.parametrize('function', [binarize, scaled_binarize])
@pytest.mark.parametrize('shape', [(4, 6), (3, 2, 3, 5)])
def test_double_backward_in_g(function, shape):
    # The gradient is linear in g: the Jacobian's transpose, from double
    # backward, has to give the same bilinear form.
    W, u, v = (random(*shape) for _ in range(3))
    g = chainer.Variable(u)
    W_ = chainer.Variable(W)
    gW, = chainer.grad([function(W_)], [W_], [g], enable_double_backprop=True)
    gg, = chainer.grad([gW], [g], [chainer.Variable(v)])
    assert gg.shape == shape
    a, b = random(), random()
    numpy.testing.assert_allclose(
        gradient(function, W, a * u + b * v),
        a * gW.array + b * gradient(function, W, v), rtol=1e-9, atol=1e-12)
    numpy.testing.assert_allclose(
        (gg.array * u).sum(), (gW.array * v).sum(), rtol=1e-9)
    expected, = gradient_check.numerical_grad(
        lambda: (gradient(function, W, u),), (u,), (v,), eps=1e-3)
    numpy.testing.assert_allclose(gg.array, expected, rtol=1e-6, atol=1e-8)


def test_stochastic_only_in_training():
    W = numpy.zeros((20, 50), numpy.float32)
    W[0], W[1] = 1, -1
    with chainer.using_config('train', False):
        y = binarize(W, stochastic=True).array
    numpy.testing.assert_array_equal(y, sign(W))
    with chainer.using_config('train', True):
        numpy.testing.assert_array_equal(binarize(W).array, sign(W))
        numpy.random.seed(1)
        y = binarize(W, stochastic=True).array
        other = binarize(W, stochastic=True).array
        numpy.random.seed(1)
        again = binarize(W, stochastic=True).array
    assert set(y.ravel()) == {-1, 1}
    assert (y[0] == 1).all()
    assert (y[1] == -1).all()
    # 900 fair draws: five standard deviations.
    assert abs(y[2:].mean()) < 5 / 30
    assert (y != other).any()
    numpy.testing.assert_array_equal(y, again)
    g = random(20, 50, dtype=numpy.float32)
    numpy.testing.assert_array_equal(
        gradient(lambda W: binarize(W, stochastic=True), W, g), g)


@pytest.mark.parametrize('function', [binarize, scaled_binarize])
@pytest.mark.parametrize('dtype', [numpy.int32, numpy.uint8, numpy.bool_])
def test_wrong_dtype(function, dtype):
    with pytest.raises(type_check.InvalidType):
        function(numpy.ones((2, 3), dtype))


def test_too_few_dimensions():
    for shape in (), (3,):
        with pytest.raises(type_check.InvalidType):
            scaled_binarize(numpy.ones(shape))
        assert binarize(numpy.ones(shape)).shape == shape


@pytest.mark.parametrize('function', [binarize, scaled_binarize])
@pytest.mark.parametrize('dtype', DTYPES)
def test_non_contiguous(function, dtype):
    W = random(6, 10, dtype=dtype).T[::2]
    g = random(12, 5, dtype=dtype)[::2].T
    expected = [function(W.copy()).array,
                gradient(function, W.copy(), g.copy())]
    actual = [function(W).array, gradient(function, W, g)]
    for a, e in zip(actual, expected, strict=True):
        numpy.testing.assert_allclose(a, e, **TOLERANCES[dtype])


@pytest.mark.parametrize('function', [binarize, scaled_binarize])
def test_inputs_stay(function):
    W, g = random(4, 6), random(4, 6)
    copies = W.copy(), g.copy()
    gradient(function, W, g)
    numpy.testing.assert_array_equal(W, copies[0])
    numpy.testing.assert_array_equal(g, copies[1])


def test_gradients_add_up():
    # One layer applied twice: W.grad is the sum.
    W, a, b = random(4, 6), random(4, 6), random(4, 6)
    actual = gradient(
        lambda W: scaled_binarize(W) * a + scaled_binarize(W) * b, W,
        numpy.ones((4, 6)))
    expected = gradient(scaled_binarize, W, a + b)
    numpy.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


def test_no_gradient_to_a_constant():
    W = random(4, 6)
    x = chainer.Variable(random(3, 6))
    F.sum(F.matmul(x, scaled_binarize(W), transb=True)).backward()
    assert x.grad.shape == (3, 6)


testing.run_module(__name__, __file__)


def test_scaled_gradient_does_not_overflow_in_float16():
    W = chainer.Variable(numpy.full((1, 4096), .5, numpy.float16))
    y = function_binarize.scaled_binarize(W)
    y.grad = numpy.full((1, 4096), 20, numpy.float16)
    y.backward()
    numpy.testing.assert_array_equal(W.grad, 30)  # 20 * 1 + 20 * 0.5
