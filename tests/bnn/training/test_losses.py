"""The squared hinge loss by hand and by finite differences."""
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer import testing

from bnn.training import losses


@testing.inject_backend_tests(
    ['test_by_hand', 'test_finite_differences'], [{}, {'use_cuda': True}])
class TestSquaredHinge(unittest.TestCase):

    def test_by_hand(self, backend_config):
        y = chainer.Variable(backend_config.get_array(
            numpy.array([[.5, -.5], [2, -3]], 'f')))
        t = backend_config.get_array(numpy.array([0, 1], 'i'))
        loss = losses.squared_hinge(y, t)
        # 1 - .5 twice; 1 + 2 and 1 + 3
        assert loss.shape == ()
        assert loss.dtype == numpy.float32
        assert float(loss.array) == (.25 + .25 + 9 + 16) / 4
        loss.backward()
        # -2 delta (1 - delta y) / 4
        numpy.testing.assert_array_equal(
            chainer.get_device('@numpy').send(y.grad),
            [[-.25, .25], [1.5, -2]])

    def test_finite_differences(self, backend_config):
        random = numpy.random.RandomState(0)
        y = random.normal(0, 2, (6, 10))
        t = random.randint(0, 10, 6).astype('i')
        gradient_check.check_backward(
            lambda y, t: losses.squared_hinge(y, t),
            [backend_config.get_array(y), backend_config.get_array(t)],
            None, no_grads=[False, True], dtype=numpy.float64, rtol=1e-5,
            atol=1e-7)


def test_beyond_the_margin():
    y = chainer.Variable(numpy.array([[1, -1, -2], [-1, 5, -9]], 'f'))
    loss = losses.squared_hinge(y, numpy.array([0, 1], 'i'))
    loss.backward()
    assert loss.array == 0
    numpy.testing.assert_array_equal(y.grad, 0)


def test_names():
    assert losses.LOSSES == {'softmax': F.softmax_cross_entropy,
                             'squared-hinge': losses.squared_hinge}


@pytest.mark.parametrize('name', ['softmax', 'squared-hinge'])
def test_better_scores_lose_less(name):
    t = numpy.array([2], 'i')
    values = [float(losses.LOSSES[name](
        numpy.array([[0, 0, score]], 'f'), t).array)
        for score in (-1, 0, .5, .9)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


testing.run_module(__name__, __file__)
