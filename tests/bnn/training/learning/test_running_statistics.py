"""The statistics of batch normalization, computed anew or for once."""
import chainer
import chainer.links as L
import numpy
import pytest

import train
from bnn import data
from bnn.training.command_line import config as config_module
from bnn.training.learning import batches
from bnn.training.learning import inputs
from bnn.training.learning import running_statistics
from zoo.binarynet import deep_binary_mlp


@pytest.fixture
def model():
    numpy.random.seed(0)
    model = L.Classifier(deep_binary_mlp.DeepBinaryMLP(
        8, n_in=12, n_layers=1, dropout_input=.5, dropout_hidden=.5))
    for name, param in model.namedparams():
        if name.endswith(('gamma', 'beta')):
            param.array[...] = numpy.random.uniform(.5, 1, param.shape)
    return model


@pytest.fixture
def images():
    return numpy.random.RandomState(1).randint(
        0, 256, (30, 1, 3, 4), numpy.uint8)


def recompute(model, images, batchsize):
    feed = batches.Feed(
        batches.Indices(images, batchsize, repeat=False, shuffle=False),
        inputs.converter(images, numpy.zeros(len(images), 'i'),
                         inputs.rescaler('unit')))
    running_statistics.recompute(model, feed, chainer.get_device('@numpy'))


def layer(link, x):
    """A binary linear layer in float64."""
    sign = numpy.where(link.W.array >= 0, 1., -1.)
    return x.reshape(len(x), -1).astype('d') / 255 @ sign.T + link.b.array


def test_recompute_averages_over_the_batches(model, images):
    recompute(model, images, 10)
    y = layer(model.predictor.l1, images).reshape(3, 10, 8)
    numpy.testing.assert_allclose(
        model.predictor.b1.avg_mean, y.mean(axis=(0, 1)), rtol=1e-4,
        atol=1e-5)
    numpy.testing.assert_allclose(
        model.predictor.b1.avg_var, y.var(axis=1, ddof=1).mean(axis=0),
        rtol=1e-4)


def test_recompute_forgets_and_draws_nothing(model, images):
    recompute(model, images, 30)
    first = model.predictor.b2.avg_var.copy()
    model.predictor.b2.avg_var[...] = 7
    state = numpy.random.get_state()[1].copy()
    recompute(model, images, 30)
    numpy.testing.assert_array_equal(model.predictor.b2.avg_var, first)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)
    assert chainer.config.train


def test_varied_pass():
    """All images once, moved as in training; the test moves none."""
    dataset = data.load('digits')
    config = config_module.Config(
        dataset='digits', augment='shift', input='unit')
    feeds = [batches.one_pass(dataset, 'train', config, 500, are_varied=varied)
             for varied in (False, True)]
    (plain, labels), (varied, others) = (
        map(numpy.concatenate, zip(*(
            feed.converter(batch, chainer.get_device('@numpy'))
            for batch in feed.iterator), strict=True)) for feed in feeds)
    numpy.testing.assert_array_equal(labels, dataset.train_labels)
    numpy.testing.assert_array_equal(others, labels)
    moved = (plain != varied).any(axis=(1, 2, 3))
    assert .8 < moved.mean() < 1
    # Moved by at most 2 pixels, nothing in the middle is lost.
    assert (varied.max(axis=(1, 2, 3)) > 0).all()


def test_statistics_of_varied_images():
    """train.py's, alike in each rank and different from the plain ones."""
    dataset = data.load('digits')
    model = L.Classifier(deep_binary_mlp.DeepBinaryMLP(
        8, n_in=dataset.train_images[0].size, n_layers=1))
    found = []
    for augment in 'shift', 'shift', 'none':
        train.recompute_statistics(
            model, config_module.Config(
                dataset='digits', augment=augment, input='unit'),
            dataset, chainer.get_device('@numpy'))
        found.append(model.predictor.b1.avg_mean.copy())
    numpy.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_of_the_batch(model, images):
    x = inputs.SCALES['unit'](images)
    before = model.predictor.b1.avg_mean.copy()
    with (chainer.using_config('train', False),
          running_statistics.of_the_batch(model)):
        y = model.predictor(x).array
    numpy.testing.assert_array_equal(model.predictor.b1.avg_mean, before)
    recompute(model, images, 30)
    for bn in model.predictor.b1, model.predictor.b2:
        bn.avg_var *= 29 / 30  # a batch normalizes by its biased variance
    with chainer.using_config('train', False):
        numpy.testing.assert_allclose(
            y, model.predictor(x).array, rtol=1e-3, atol=1e-3)
