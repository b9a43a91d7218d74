"""Losses of adversarial images by hand, and the five best guesses."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

import net
from bnn.training.learning import classifier
from bnn.training.learning import losses
from tests.helpers import devices


def make(predictor, adversarial=0.):
    return classifier.Classifier(
        predictor, losses.softmax_cross_entropy, adversarial=adversarial)


def observe(model, x, t):
    reporter = chainer.Reporter()
    reporter.add_observer('main', model)
    with reporter:
        loss = model(x, t)
    return loss, {name: float(getattr(value, 'array', value))
                  for name, value in reporter.observation.items()}


@devices.each
def test_by_hand(device):
    device = devices.get(device)
    # Two classes: of scores (0, wx) the second one's probability is
    # sigmoid(wx), and the gradient of x is (sigmoid(wx) - t) w.
    w = numpy.array([2, -1, 0])
    x, t = numpy.array([[1, 1, 5], [.5, 2, 5]]), numpy.array([1, 0], 'i')
    model = make(L.Linear(3, 2, nobias=True, initialW=numpy.array(
        [[0, 0, 0], w], 'f')), .5)
    model.to_device(device)
    model.cleargrads()
    loss, seen = observe(model, *map(device.send, (x.astype('f'), t)))
    loss.backward()

    moved = x + .5 * numpy.sign((1 / (1 + numpy.exp(-x @ w)) - t)[
        :, None] * w)
    numpy.testing.assert_array_equal(moved, [[.5, 1.5, 5], [1, 1.5, 5]])
    values, gradient = [], numpy.zeros(3)
    for images in x, moved:
        p = 1 / (1 + numpy.exp(-images @ w))
        values.append(-numpy.log(numpy.where(t, p, 1 - p)).mean())
        gradient += (p - t) @ images / 2 / 2
    numpy.testing.assert_allclose(
        seen['main/loss'], numpy.mean(values), rtol=1e-6)
    # That of the images as they are: of the moved ones none is right.
    assert seen['main/accuracy'] == 1
    numpy.testing.assert_allclose(
        devices.to_cpu(model.predictor.W.grad), [-gradient, gradient],
        rtol=1e-5, atol=1e-7)


def test_none_in_tests():
    x, t = numpy.ones((2, 3), 'f'), numpy.array([0, 1], 'i')
    predictor = L.Linear(3, 2)
    model = make(predictor, .5)
    with chainer.using_config('train', False):
        loss, seen = observe(model, x, t)
    assert loss.array == F.softmax_cross_entropy(predictor(x), t).array
    assert seen['main/loss'] == loss.array


def test_without_it_the_loss_is_chainers():
    x, t = numpy.ones((2, 3), 'f'), numpy.array([0, 1], 'i')
    predictor = L.Linear(3, 2)
    assert (make(predictor)(x, t).array
            == L.Classifier(predictor)(x, t).array)


def test_mean_of_passes():
    """Also of a net that draws; the loss is that of the mean scores."""
    def predictor(x):
        return chainer.Variable(x + numpy.random.randint(2))

    x, t = numpy.array([[0, 4], [3, 0]], 'f'), numpy.array([1, 1], 'i')
    model = make(predictor)
    model.n_passes = 50
    numpy.random.seed(0)
    mean = x + numpy.mean([numpy.random.randint(2) for _ in range(50)])
    with chainer.using_config('train', False):
        loss, seen = observe(model, x, t)
    numpy.testing.assert_allclose(model.y.array, mean, rtol=1e-6)
    assert loss.array == F.softmax_cross_entropy(model.y, t).array
    assert seen == {'main/loss': loss.array, 'main/accuracy': .5}
    observe(model, x, t)  # Training passes once.
    assert model.y.array[0, 0] in (0, 1)


def test_binary_net():
    """The input's gradient goes through signs, and no weight's comes of it."""
    x = numpy.random.uniform(0, 1, (50, 20)).astype('f')
    t = numpy.random.randint(0, 10, 50).astype('i')
    kept = x.copy()
    model = make(net.BinaryMLP(30, n_in=20), .1)
    plain = L.Classifier(model.predictor)
    model.cleargrads()
    model(x, t)
    assert all(param.grad is None for param in model.params())
    loss = model(x, t)
    loss.backward()
    numpy.testing.assert_array_equal(x, kept)
    assert loss.array > plain(x, t).array  # as the statistics are the batch's
    assert all(numpy.isfinite(param.grad).all() for param in model.params())


class TestTop5:

    def report(self, scores, labels):
        model = classifier.Top5Classifier(
            lambda x: x, losses.softmax_cross_entropy)
        reporter = chainer.Reporter()
        reporter.add_observer('main', model)
        with reporter:
            model(chainer.Variable(numpy.array(scores, 'f')),
                  numpy.array(labels, 'i'))
        values = reporter.observation
        return (float(values['main/accuracy_top5']),
                float(values['main/accuracy'].array))

    def test_seven_classes(self):
        scores = [[7, 6, 5, 4, 3, 2, 1]] * 7
        assert self.report(scores, range(7)) == pytest.approx((5 / 7, 1 / 7))

    def test_tie_with_the_fifth(self):
        scores = [[9, 9, 9, 9, 1, 1, 0]] * 3
        assert self.report(scores, [4, 5, 6])[0] == pytest.approx(2 / 3)

    def test_few_classes(self):
        assert self.report([[1, 2], [2, 1]], [0, 0])[0] == 1

    def test_nan_is_no_hit(self):
        nan = float('nan')
        assert self.report([[nan] * 7, [1] * 7], [0, 0])[0] == .5
