"""Surrogate gradients, and weights that are drawn."""
import math
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import testing

import bst
import function_binary_linear
import link_binary_linear
import net
from bnn import kernels

DTYPES = (numpy.float16, numpy.float32, numpy.float64)
BACKENDS = [{}, {'use_cuda': True}]


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


# ---- surrogates

def slope(backend_config, x, surrogate, dtype, gy=1.):
    x = chainer.Variable(backend_config.get_array(numpy.array(x, dtype)))
    y = bst.bst(x, surrogate)
    y.grad = backend_config.get_array(numpy.full(x.shape, gy, dtype))
    y.backward()
    assert x.grad.dtype == dtype
    return to_cpu(y.array), to_cpu(x.grad)


def swish_sign(x, beta=5.):
    sigmoid = 1 / (1 + math.exp(-beta * x))
    return 2 * sigmoid * (1 + beta * x * (1 - sigmoid)) - 1


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_approx_sign', 'test_swish_sign', 'test_swish_sign_far_away',
     'test_forward', 'test_double_backward_is_refused'], BACKENDS)
class TestSurrogates(unittest.TestCase):

    def test_approx_sign(self, backend_config):
        one = self.dtype(1)
        x = [0, -0., .5, -.5, .25, 1, -1, numpy.nextafter(one, self.dtype(2)),
             1.5, -3, numpy.inf, -numpy.inf, numpy.nan]
        expected = numpy.array([2, 2, 1, 1, 1.5, 0, 0, 0, 0, 0, 0, 0, 0])
        _, gx = slope(backend_config, x, 'approx-sign', self.dtype)
        numpy.testing.assert_array_equal(gx, expected)
        _, gx = slope(backend_config, x, 'approx-sign', self.dtype, -3)
        numpy.testing.assert_array_equal(gx, -3 * expected)

    def test_swish_sign(self, backend_config):
        x = numpy.linspace(-2, 2, 81).astype(self.dtype)
        _, gx = slope(backend_config, x, 'swish-sign', self.dtype)
        expected, numerical = [], []
        for value in x.astype(float):
            z = 5 * value
            expected.append(
                5 * (2 - z * math.tanh(z / 2)) / (1 + math.cosh(z)))
            numerical.append((swish_sign(value + 1e-5)
                              - swish_sign(value - 1e-5)) / 2e-5)
        numpy.testing.assert_allclose(expected, numerical, atol=1e-7)
        numpy.testing.assert_allclose(
            gx, expected, atol=8 * numpy.finfo(self.dtype).eps)
        assert gx[40] == 5  # beta at 0
        assert gx.min() < -.1  # it overshoots

    def test_swish_sign_far_away(self, backend_config):
        x = [30, -30, 1e4, -1e4, numpy.inf, -numpy.inf, numpy.nan]
        _, gx = slope(backend_config, x, 'swish-sign', self.dtype)
        numpy.testing.assert_allclose(gx, 0, atol=1e-25)

    def test_forward(self, backend_config):
        x = numpy.array([-2, -.1, -0., 0, .1, 2, numpy.nan], self.dtype)
        for surrogate in bst.SURROGATES:
            y, _ = slope(backend_config, x, surrogate, self.dtype)
            numpy.testing.assert_array_equal(y, [-1, -1, 1, 1, 1, 1, -1])

    def test_double_backward_is_refused(self, backend_config):
        x, gy = [chainer.Variable(backend_config.get_array(
            numpy.ones(3, self.dtype))) for _ in range(2)]
        gx, = chainer.grad([bst.bst(x, 'approx-sign')], [x], [gy],
                           enable_double_backprop=True)
        with pytest.raises(NotImplementedError, match='use ste'):
            chainer.grad([gx], [gy])


def test_default_is_ste():
    x = chainer.Variable(numpy.array([-1.5, -1, .9, 1, 2], 'f'))
    y = bst.bst(x)
    y.grad = numpy.ones(5, 'f')
    y.backward()
    numpy.testing.assert_array_equal(x.grad, [0, 1, 1, 1, 0])


@pytest.mark.parametrize('name', ['relu', '', 'STE', None, 'approx_sign'])
def test_unknown_surrogate(name):
    with pytest.raises(ValueError) as e:
        bst.bst(numpy.zeros(3, 'f'), name)
    for word in repr(name), 'ste', 'approx-sign', 'swish-sign':
        assert word in str(e.value)


@pytest.mark.parametrize('surrogate', ['ste', 'approx-sign', 'swish-sign'])
def test_surrogate_of_a_net(surrogate):
    numpy.random.seed(0)
    model = net.BinaryMLP(8, 3, 12, n_layers=1, surrogate=surrogate)
    x = numpy.random.uniform(0, 1, (6, 12)).astype('f')
    seen = []
    activate = model.activate
    # The normalization apart: its result is what the sign differentiates at
    model.activate = lambda h, normalize: (
        seen.append(normalize(h)) or activate(seen[0], F.identity))
    y = model(x)
    y.grad = numpy.random.normal(size=y.shape).astype('f')
    y.backward(retain_grad=True)
    h, = seen
    after = bst.bst(chainer.Variable(h.array), surrogate)
    # The gradient that reached the sign, from the layer above it
    gy = h.grad / numpy.where(h.grad == 0, 1, bst.SURROGATES[surrogate](
        h.array, numpy.ones_like(h.array)))
    after.grad = gy
    numpy.testing.assert_allclose(
        h.grad, bst.SURROGATES[surrogate](h.array, gy), rtol=1e-4, atol=1e-6)
    assert (h.grad != 0).any()


# ---- weights that are drawn

N = 200000
# Hoeffding: P(|frequency - p| >= bound) <= 2 exp(-2 N bound^2).  This bound,
# 0.0073, gives a false alarm once in 10^9 draws of N for each value.
BOUND = math.sqrt(math.log(2e9) / (2 * N))


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_frequency', 'test_certain', 'test_state'], BACKENDS)
class TestStochasticBinarize(unittest.TestCase):

    def setUp(self):
        numpy.random.seed(0)

    def _draw(self, backend_config, x, n=N):
        return to_cpu(kernels.stochastic_binarize(
            backend_config.get_array(numpy.full(n, x, self.dtype))))

    def test_frequency(self, backend_config):
        for x, p in ((-1, 0), (-.5, .25), (0, .5), (.3, .65), (1, 1),
                     (1.5, 1)):
            y = self._draw(backend_config, x)
            assert y.dtype == self.dtype
            assert set(y.tolist()) <= {-1, 1}
            frequency = (y == 1).mean()
            assert abs(frequency - p) < BOUND, (x, frequency)
            if p in (0, 1):
                assert frequency == p

    def test_certain(self, backend_config):
        one = self.dtype(1)
        for x in 1, numpy.nextafter(one, self.dtype(2)), 1.5, 100:
            assert (self._draw(backend_config, x, 10 ** 6) == 1).all()
            assert (self._draw(backend_config, -x, 10 ** 6) == -1).all()

    def test_state(self, backend_config):
        state = numpy.random.get_state()
        first = self._draw(backend_config, 0, 1000)
        second = self._draw(backend_config, 0, 1000)
        numpy.random.set_state(state)
        numpy.testing.assert_array_equal(
            self._draw(backend_config, 0, 1000), first)
        numpy.testing.assert_array_equal(
            self._draw(backend_config, 0, 1000), second)
        # Two of 1000 coins are the same with probability 2^-1000
        assert (first != second).any()


def test_neighbours_are_independent():
    numpy.random.seed(0)
    y = kernels.stochastic_binarize(numpy.zeros(N))
    # The products of neighbours are coins themselves: a mean beyond twice
    # BOUND once in 10^9 (Hoeffding, as above)
    for lag in 1, 2, 64, 1024:
        assert abs((y[lag:] * y[:-lag]).mean()) < 2 * BOUND * math.sqrt(
            N / (N - lag))


def drawn(W, train=True):
    """Returns the weights that a forward pass computed with."""
    with chainer.using_config('train', train):
        return function_binary_linear.binary_linear(
            numpy.eye(W.shape[1], dtype=W.dtype), W, stochastic=True).array.T


def test_deterministic_in_tests():
    W = numpy.random.RandomState(0).uniform(-1.5, 1.5, (40, 30)).astype('f')
    numpy.random.seed(1)
    state = numpy.random.get_state()[1].copy()
    signs = numpy.where(W >= 0, 1, -1)
    numpy.testing.assert_array_equal(drawn(W, train=False), signs)
    # Nothing was drawn: a test in mid-run changes nothing of it
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)
    W_drawn = drawn(W)
    assert set(W_drawn.ravel().tolist()) == {-1, 1}
    assert (W_drawn != signs).any()
    sure = abs(W) >= 1
    numpy.testing.assert_array_equal(W_drawn[sure], signs[sure])


def test_mean_of_draws_is_hard_tanh():
    W = numpy.array([[-2, -.9, -.2, 0, .4, .8, 3]], 'f')
    numpy.random.seed(0)
    n = 4000
    mean = sum(drawn(W) for _ in range(n)) / n
    # Hoeffding as above, on values -1 and 1: once in 10^9
    bound = 2 * math.sqrt(math.log(2e9) / (2 * n))
    assert abs(mean - numpy.clip(W, -1, 1)).max() < bound


@pytest.mark.parametrize('dtype', DTYPES)
def test_gradients_use_the_drawn_signs(dtype):
    random = numpy.random.RandomState(0)
    # Beyond the range too: no mask
    W = chainer.Parameter(random.uniform(-1.5, 1.5, (5, 16)).astype(dtype))
    b = chainer.Parameter(numpy.zeros(5, dtype))
    x = chainer.Variable(random.randint(-3, 4, (4, 16)).astype(dtype))
    gy = random.randint(-3, 4, (4, 5)).astype(dtype)
    numpy.random.seed(7)
    signs = kernels.stochastic_binarize(W.array)
    assert (signs != numpy.where(W.array >= 0, 1, -1)).any()
    numpy.random.seed(7)
    y = function_binary_linear.binary_linear(x, W, b, stochastic=True)
    numpy.testing.assert_array_equal(y.array, x.array.dot(signs.T))
    y.grad = gy
    numpy.random.seed(99)  # backward draws nothing
    y.backward()
    numpy.testing.assert_array_equal(x.grad, gy.dot(signs))
    numpy.testing.assert_array_equal(W.grad, gy.T.dot(x.array))
    numpy.testing.assert_array_equal(b.grad, gy.sum(axis=0))


def test_link():
    numpy.random.seed(0)
    link = link_binary_linear.BinaryLinear(30, 20, stochastic=True)
    assert dict(link.printable_specs)['stochastic'] is True
    x = numpy.random.normal(size=(3, 30)).astype('f')
    first, second = link(x).array, link(x).array
    assert (first != second).any()
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(
            link(x).array, function_binary_linear.binary_linear(
                x, link.W, link.b).array)
    assert link_binary_linear.BinaryLinear(3, 2).stochastic is False


@pytest.mark.parametrize('kind', [net.BinaryMLP, net.BinaryWeightMLP])
def test_net(kind):
    numpy.random.seed(0)
    model = kind(8, 3, 12, stochastic=True)
    assert all(link.stochastic for link in model.links()
               if isinstance(link, link_binary_linear.BinaryLinear))
    x = numpy.random.normal(size=(6, 12)).astype('f')
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(model(x).array, model(x).array)
    assert (model(x).array != model(x).array).any()


testing.run_module(__name__, __file__)
