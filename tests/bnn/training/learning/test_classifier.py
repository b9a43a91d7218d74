"""Losses of adversarial images by hand, and the five best guesses."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer.serializers import npz

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


def test_mirrored():
    """The scores are the mean of an image's and its mirror image's."""
    x = numpy.random.normal(0, 1, (3, 1, 2, 4)).astype('f')
    t = numpy.array([0, 1, 2], 'i')
    model = make(lambda x: chainer.Variable(x[:, 0, 0] ** 3))
    model.is_mirrored = True
    with chainer.using_config('train', False):
        loss, seen = observe(model, x, t)
    expected = (x[:, 0, 0] ** 3 + x[:, 0, 0, ::-1] ** 3) / 2
    numpy.testing.assert_allclose(model.y.array, expected, rtol=1e-6)
    assert seen['main/loss'] == loss.array
    observe(model, x, t)  # Training takes the images as they are.
    numpy.testing.assert_array_equal(model.y.array, x[:, 0, 0] ** 3)


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


class Teacher(chainer.Chain):
    """Scores with dropout and batch normalization, of float64."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.bn = L.BatchNormalization(5)
            self.l1 = L.Linear(
                5, 3, True, initialW=numpy.random.randn(3, 5))
        self.bn.avg_mean[...] = numpy.random.randn(5)

    def forward(self, x):
        return self.l1(F.dropout(self.bn(x)))


def of_test(net, x):
    with chainer.using_config('train', False):
        return net(x).array


class TestTeacher:

    @pytest.fixture
    def model(self):
        with chainer.using_config('dtype', numpy.float64):
            return classifier.Classifier(
                L.Linear(5, 3, True, initialW=numpy.random.randn(3, 5)),
                losses.softmax_cross_entropy, teacher=Teacher(),
                teacher_weight=.7, temperature=3.)

    @pytest.fixture
    def batch(self):
        return numpy.random.randn(4, 5), numpy.array([0, 2, 1, 1], 'i')

    def test_loss(self, model, batch):
        """It is the sum of both, of the teacher's scores in a test."""
        x, t = batch
        loss, seen = observe(model, x, t)
        y = model.predictor(x)
        z = of_test(model.teacher, x)
        expected = .3 * F.softmax_cross_entropy(y, t).array + (
            .7 * losses.distillation(y, z, 3.).array)
        numpy.testing.assert_allclose(loss.array, expected, rtol=1e-12)
        numpy.testing.assert_allclose(
            seen['main/loss'], expected, rtol=1e-12)
        assert seen['main/accuracy'] == F.accuracy(y, t).array

    def test_of_moved_images_too(self, model, batch):
        x, t = batch
        model.adversarial = .1
        loss, _ = observe(model, x, t)
        model.adversarial = 0.
        x = chainer.Variable(x)
        z = of_test(model.teacher, x.array)
        y = model.predictor(x)
        both = .3 * F.softmax_cross_entropy(y, t) + (
            .7 * losses.distillation(y, z, 3.))
        both.backward()
        moved = x.array + .1 * numpy.sign(x.grad)
        numpy.testing.assert_allclose(
            loss.array, (both.array + model(moved, t).array) / 2, rtol=1e-12)

    def test_finite_differences(self, model, batch):
        x, t = batch
        W = model.predictor.W
        model.cleargrads()
        model(x, t).backward()
        gradient, values = W.grad.copy(), W.array.copy()
        for at in numpy.ndindex(W.shape):
            ends = []
            for step in 1e-5, -1e-5:
                W.array[...] = values
                W.array[at] += step
                ends.append(float(model(x, t).array))
            assert gradient[at] == pytest.approx(
                (ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-8)

    def test_teacher_stays(self, model, batch):
        """No gradient, no statistics, no part of what is saved."""
        before = {name: array.copy() for name, array in npz.serialize(
            model.teacher).items()}
        model.teacher.cleargrads()
        model(*batch).backward()
        for name, array in npz.serialize(model.teacher).items():
            numpy.testing.assert_array_equal(array, before[name])
        assert all(param.grad is None for param in model.teacher.params())
        assert set(npz.serialize(model)) == {'predictor/W'}

    def test_none_in_tests(self, model, batch):
        with chainer.using_config('train', False):
            loss, _ = observe(model, *batch)
        x, t = batch
        assert loss.array == F.softmax_cross_entropy(
            model.predictor(x), t).array


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
