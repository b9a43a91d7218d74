"""The layer that draws its weights: what it computes, and its gradients."""
import chainer
import numpy

import link_binary_linear
from bnn.kernels import elementwise
from zoo.binarynet import link_stochastic_linear

StochasticLinear = link_stochastic_linear.StochasticLinear


def test_gradients_use_the_drawn_signs():
    for dtype in numpy.float16, numpy.float32, numpy.float64:
        with chainer.using_config('dtype', dtype):
            link = StochasticLinear(16, 5)
        # Beyond [-1, 1] too: there is no mask.
        link.W.array[...] = numpy.random.uniform(-1.5, 1.5, (5, 16))
        x = chainer.Variable(
            numpy.random.randint(-3, 4, (4, 16)).astype(dtype))
        gy = numpy.random.randint(-3, 4, (4, 5)).astype(dtype)
        numpy.random.seed(7)
        signs = elementwise.stochastic_binarize(
            link.W.array, elementwise.draw_key())
        assert (signs != numpy.where(link.W.array >= 0, 1, -1)).any()
        numpy.random.seed(7)
        link.cleargrads()
        y = link(x)
        numpy.testing.assert_array_equal(y.array, x.array.dot(signs.T))
        y.grad = gy
        numpy.random.seed(99)  # backward draws nothing
        y.backward()
        numpy.testing.assert_array_equal(x.grad, gy.dot(signs))
        numpy.testing.assert_array_equal(link.W.grad, gy.T.dot(x.array))
        numpy.testing.assert_array_equal(link.b.grad, gy.sum(axis=0))


def test_weights_of_tests():
    W = numpy.array([[-2, -.25, 0, .5]], 'f')
    link = StochasticLinear(4, 1, initialW=W, initial_bias=3)
    x = numpy.eye(4, dtype='f')
    state = numpy.random.get_state()[1].copy()
    with chainer.using_config('train', False):
        for kind, expected in ('signs', [-1, -1, 1, 1]), ('real', W[0]):
            link.test_weights = kind
            numpy.testing.assert_array_equal(link(x).array[:, 0] - 3, expected)
        # Nothing was drawn: a test in mid-run changes nothing of it.
        numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)
        link.test_weights = 'mean'
        draws = [link(x).array[:, 0] - 3 for _ in range(40)]
    assert {*numpy.ravel(draws)} == {-1, 1}
    assert {draw[0] for draw in draws} == {-1}
    assert {draw[2] for draw in draws} == {-1, 1}
    link.test_weights = 'real'
    assert {*link(x).array[:, 0]} <= {2, 4}  # Training draws.


def test_evaluation_is_that_of_the_binary_layer():
    link = StochasticLinear(30, 20, nobias=True)
    other = link_binary_linear.BinaryLinear(
        30, 20, nobias=True, initialW=link.W.array)
    x = numpy.random.normal(size=(3, 30)).astype('f')
    assert (link(x).array != link(x).array).any()
    with chainer.using_config('train', False):
        numpy.testing.assert_array_equal(link(x).array, other(x).array)
    assert link.w_bits == 1


def test_mean_of_draws_is_hard_tanh():
    W = numpy.array([[-2, -.9, -.2, 0, .4, .8, 3]], 'f')
    link = StochasticLinear(7, 1, initialW=W)
    n = 4000
    mean = sum(link(numpy.eye(7, dtype='f')).array for _ in range(n)) / n
    # Hoeffding for values -1 and 1: a false alarm once in 10^9
    bound = 2 * (numpy.log(2e9) / (2 * n)) ** .5
    assert abs(mean.T - numpy.clip(W, -1, 1)).max() < bound


def test_lazy():
    link = StochasticLinear(None, 4)
    assert link(numpy.ones((2, 3, 5), 'f')).shape == (2, 4)
    assert link.W.shape == (4, 15)
