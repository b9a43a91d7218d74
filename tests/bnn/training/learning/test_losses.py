"""The losses by hand and by finite differences."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check

from bnn.training.learning import losses
from tests.helpers import devices


def variable(device, values):
    return chainer.Variable(device.send(numpy.array(values, 'f')))


@devices.each
def test_squared_hinge_by_hand(device):
    device = devices.get(device)
    y = variable(device, [[.5, -.5], [2, -3]])
    loss = losses.squared_hinge(y, device.send(numpy.array([0, 1], 'i')))
    # 1 - .5 twice; 1 + 2 and 1 + 3
    assert loss.shape == ()
    assert loss.dtype == numpy.float32
    assert float(loss.array) == (.25 + .25 + 9 + 16) / 4
    loss.backward()
    # -2 delta (1 - delta y) / 4
    numpy.testing.assert_array_equal(
        devices.to_cpu(y.grad), [[-.25, .25], [1.5, -2]])


def test_squared_hinge_beyond_the_margin():
    y = chainer.Variable(numpy.array([[1, -1, -2], [-1, 5, -9]], 'f'))
    loss = losses.squared_hinge(y, numpy.array([0, 1], 'i'))
    loss.backward()
    assert loss.array == 0
    numpy.testing.assert_array_equal(y.grad, 0)


@devices.each
def test_label_smoothing_by_hand(device):
    device = devices.get(device)
    y = variable(device, numpy.log([[2, 1, 1], [1, 8, 1]]))
    t = device.send(numpy.array([0, 1], 'i'))
    loss = losses.softmax_cross_entropy(y, t, label_smoothing=.3)
    assert loss.shape == ()
    assert loss.dtype == numpy.float32
    p = numpy.array([[.5, .25, .25], [.1, .8, .1]])
    q = numpy.array([[.8, .1, .1], [.1, .8, .1]])
    numpy.testing.assert_allclose(
        float(loss.array), -(q * numpy.log(p)).sum() / 2, rtol=1e-6)
    loss.backward()
    numpy.testing.assert_allclose(
        devices.to_cpu(y.grad), (p - q) / 2, rtol=1e-5, atol=1e-7)
    # A test has none.
    with chainer.using_config('train', False):
        loss = losses.softmax_cross_entropy(y, t, label_smoothing=.3)
    numpy.testing.assert_allclose(
        float(loss.array), -numpy.log(.5 * .8) / 2, rtol=1e-6)


def test_finite_differences():
    y = numpy.random.normal(0, 2, (6, 10))
    t = numpy.random.randint(0, 10, 6).astype('i')
    for function in (
            losses.squared_hinge, losses.softmax_cross_entropy,
            lambda y, t: losses.softmax_cross_entropy(y, t, .1)):
        gradient_check.check_backward(
            lambda y, t, function=function: function(y, t), [y, t], None,
            no_grads=[False, True], dtype=numpy.float64, rtol=1e-5,
            atol=1e-7)


@devices.each
def test_distillation_by_hand(device):
    device = devices.get(device)
    # At temperature 2 the scores 2 log a give the probabilities a / sum.
    y = variable(device, 2 * numpy.log([[2, 1, 1], [1, 8, 1]]))
    z = device.send(2 * numpy.log(numpy.array([[1, 1, 2], [1, 8, 1]], 'f')))
    loss = losses.distillation(y, z, 2.)
    assert loss.shape == ()
    assert loss.dtype == numpy.float32
    p = numpy.array([[.5, .25, .25], [.1, .8, .1]])
    q = numpy.array([[.25, .25, .5], [.1, .8, .1]])
    numpy.testing.assert_allclose(
        float(loss.array), 4 * (q * numpy.log(q / p)).sum() / 2, rtol=1e-5)
    loss.backward()
    numpy.testing.assert_allclose(
        devices.to_cpu(y.grad), 2 * (p - q) / 2, rtol=1e-5, atol=1e-6)


def test_distillation_of_one_opinion():
    y = numpy.random.normal(0, 20, (6, 10)).astype('f')
    for temperature in .5, 1., 8.:
        # A constant beside all scores says nothing.
        loss = losses.distillation(chainer.Variable(y + 3), y, temperature)
        assert abs(loss.array) < 1e-4
        assert losses.distillation(-y, y, temperature).array > 1


def test_distillation_by_finite_differences():
    y, z = numpy.random.normal(0, 2, (2, 6, 10))
    for temperature in .5, 1., 4.:
        gradient_check.check_backward(
            lambda y, temperature=temperature: losses.distillation(
                y, z, temperature), [y], None, dtype=numpy.float64,
            rtol=1e-5, atol=1e-7)


def test_softmax_is_chainers():
    y = numpy.random.normal(0, 2, (6, 10)).astype('f')
    t = numpy.array([0, 1, 2, 3, -1, 5], 'i')  # -1 is left out
    assert losses.softmax_cross_entropy(y, t).array == (
        F.softmax_cross_entropy(y, t).array)


def test_make():
    assert losses.LOSSES == {'softmax': losses.softmax_cross_entropy,
                             'squared-hinge': losses.squared_hinge}
    y, t = numpy.array([[1, 0, 0]], 'f'), numpy.array([0], 'i')
    for loss, smoothing, expected in (
            ('softmax', 0., losses.softmax_cross_entropy(y, t)),
            ('softmax', .2, losses.softmax_cross_entropy(y, t, .2)),
            ('squared-hinge', 0., losses.squared_hinge(y, t))):
        assert losses.make(loss, smoothing)(y, t).array == expected.array
    assert (losses.softmax_cross_entropy(y, t, .2).array
            > losses.softmax_cross_entropy(y, t).array)
    with pytest.raises(KeyError):
        losses.make('other')


def test_better_scores_lose_less():
    t = numpy.array([2], 'i')
    for loss in losses.LOSSES.values():
        values = [float(loss(numpy.array([[0, 0, score]], 'f'), t).array)
                  for score in (-1, 0, .5, .9)]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == 4
