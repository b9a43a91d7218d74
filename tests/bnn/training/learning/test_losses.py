"""The squared hinge loss by hand and by finite differences."""
import argparse
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer import testing

from bnn.kernels import gpu_losses
from bnn.training.learning import means
from bnn.training.learning import losses


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


@testing.inject_backend_tests(
    ['test_by_hand', 'test_finite_differences'], [{}, {'use_cuda': True}])
class TestLabelSmoothing(unittest.TestCase):

    def test_by_hand(self, backend_config):
        y = chainer.Variable(backend_config.get_array(
            numpy.log(numpy.array([[2, 1, 1], [1, 8, 1]])).astype('f')))
        t = backend_config.get_array(numpy.array([0, 1], 'i'))
        loss = losses.softmax_cross_entropy(y, t, label_smoothing=.3)
        assert loss.shape == ()
        assert loss.dtype == numpy.float32
        p = numpy.array([[.5, .25, .25], [.1, .8, .1]])
        q = numpy.array([[.8, .1, .1], [.1, .8, .1]])
        expected = -(q * numpy.log(p)).sum() / 2
        numpy.testing.assert_allclose(float(loss.array), expected, rtol=1e-6)
        loss.backward()
        numpy.testing.assert_allclose(
            chainer.get_device('@numpy').send(y.grad), (p - q) / 2,
            rtol=1e-5, atol=1e-7)
        # A test has none.
        with chainer.using_config('train', False):
            loss = losses.softmax_cross_entropy(y, t, label_smoothing=.3)
        numpy.testing.assert_allclose(
            float(loss.array), -numpy.log(.5 * .8) / 2, rtol=1e-6)

    def test_finite_differences(self, backend_config):
        random = numpy.random.RandomState(0)
        y = random.normal(0, 2, (6, 10))
        t = random.randint(0, 10, 6).astype('i')
        gradient_check.check_backward(
            lambda y, t: losses.softmax_cross_entropy(y, t, .1),
            [backend_config.get_array(y), backend_config.get_array(t)],
            None, no_grads=[False, True], dtype=numpy.float64, rtol=1e-5,
            atol=1e-7)


def test_names():
    assert losses.LOSSES == {'softmax': losses.softmax_cross_entropy,
                             'squared-hinge': losses.squared_hinge}


def test_make():
    y, t = numpy.array([[1, 0, 0]], 'f'), numpy.array([0], 'i')
    for loss, smoothing, expected in (
            ('softmax', 0., losses.softmax_cross_entropy(y, t)),
            ('softmax', .2, losses.softmax_cross_entropy(y, t, .2)),
            ('squared-hinge', 0., losses.squared_hinge(y, t))):
        function = losses.make(argparse.Namespace(
            loss=loss, label_smoothing=smoothing))
        assert function(y, t).array == expected.array
    assert (losses.softmax_cross_entropy(y, t, .2).array
            > losses.softmax_cross_entropy(y, t).array)


@pytest.mark.parametrize('name', ['softmax', 'squared-hinge'])
def test_better_scores_lose_less(name):
    t = numpy.array([2], 'i')
    values = [float(losses.LOSSES[name](
        numpy.array([[0, 0, score]], 'f'), t).array)
        for score in (-1, 0, .5, .9)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


testing.run_module(__name__, __file__)


@pytest.fixture
def as_gpu(cuda_on_cpu, monkeypatch):
    """Sends arrays of NumPy where those of a GPU go."""
    monkeypatch.setattr(
        gpu_losses, 'takes', lambda scores, labels: scores.ndim == 2)
    return cuda_on_cpu


@pytest.mark.parametrize('dtype', 'fd')
@pytest.mark.parametrize('n, n_classes', [
    (100, 10), (1, 1), (33, 2), (3, 100), (64, 33)])
def test_one_launch(n, n_classes, dtype, as_gpu):
    scores = numpy.random.normal(0, 3, (n, n_classes)).astype(dtype)
    scores[:, -1] = scores[:, 0]  # Of equal ones the first counts.
    t = numpy.random.randint(0, n_classes, n).astype('i')
    for labels in t, numpy.where(numpy.arange(n) % 3, t, -1).astype('i'):
        values = []
        for function in losses.softmax_cross_entropy, F.softmax_cross_entropy:
            y = chainer.Variable(scores)
            loss = function(y, labels)
            (2 * loss).backward()
            assert loss.dtype == y.grad.dtype == dtype
            assert loss.shape == ()
            values.append((loss.array, y.grad))
        for ours, theirs in zip(*values, strict=True):
            numpy.testing.assert_allclose(
                ours, theirs, rtol=1e-5, atol=1e-6 if dtype == 'f' else 1e-14)
        found = means.accuracy(chainer.Variable(scores), labels)
        assert found.dtype == numpy.float64
        assert found.array == (scores.argmax(axis=1) == labels).mean()
    names = {'cross_entropy', 'gradient', 'accuracy'}
    assert as_gpu.launches == [
        name for name in as_gpu.launches if name.rsplit('_', 1)[0] in names]


@pytest.mark.parametrize('dtype', 'fd')
@pytest.mark.parametrize('n, n_classes', [(100, 10), (1, 1), (3, 100)])
def test_one_launch_with_smoothed_labels(
        n, n_classes, dtype, as_gpu, monkeypatch):
    scores = numpy.random.normal(0, 3, (n, n_classes)).astype(dtype)
    t = numpy.random.randint(0, n_classes, n).astype('i')
    values = []
    for takes in gpu_losses.takes, lambda *arrays: False:
        monkeypatch.setattr(gpu_losses, 'takes', takes)
        y = chainer.Variable(scores)
        loss = losses.softmax_cross_entropy(y, t, label_smoothing=.1)
        (2 * loss).backward()
        assert loss.dtype == y.grad.dtype == dtype
        values.append((loss.array, y.grad))
    assert len(as_gpu.launches) == 2
    for ours, theirs in zip(*values, strict=True):
        numpy.testing.assert_allclose(
            ours, theirs, rtol=1e-5, atol=1e-6 if dtype == 'f' else 1e-14)


@pytest.mark.parametrize('bad', [numpy.nan, numpy.inf, -numpy.inf])
def test_one_launch_not_finite(bad, as_gpu):
    scores = numpy.random.normal(size=(5, 10)).astype('f')
    t = numpy.arange(5).astype('i')
    scores[3, 3] = bad
    with numpy.errstate(all='ignore'):
        assert not numpy.isfinite(
            losses.softmax_cross_entropy(chainer.Variable(scores), t).array)
    # The counters are as they were.
    scores[3, 3] = 1
    numpy.testing.assert_allclose(
        losses.softmax_cross_entropy(chainer.Variable(scores), t).array,
        F.softmax_cross_entropy(scores, t).array, rtol=1e-6)


def test_who_takes_one_launch():
    assert not gpu_losses.takes(
        numpy.zeros((3, 2), 'f'), numpy.zeros(3, 'i'))


@testing.inject_backend_tests(
    ['test_on_a_gpu'], [{'use_cuda': True}])
class TestSoftmaxCrossEntropy(unittest.TestCase):

    def test_on_a_gpu(self, backend_config):
        for n, n_classes in (100, 10), (256, 1000), (1000, 10):
            scores = numpy.random.normal(0, 3, (n, n_classes)).astype('f')
            t = numpy.random.randint(0, n_classes, n).astype('i')
            values = []
            for send in backend_config.get_array, numpy.asarray:
                y = chainer.Variable(send(scores))
                loss = losses.softmax_cross_entropy(y, send(t))
                loss.backward()
                values.append([loss.array, y.grad, means.accuracy(
                    y, send(t)).array])
            for ours, theirs in zip(*values, strict=True):
                numpy.testing.assert_allclose(
                    chainer.get_device('@numpy').send(ours), theirs,
                    rtol=1e-5, atol=1e-7)
