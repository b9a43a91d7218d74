"""Batches of indices, and images from files."""
import types

import chainer
import numpy
import pytest

from bnn import errors
from bnn.training.learning import batches
from bnn.training.learning import inputs

CPU = chainer.get_device('@numpy')


class Images(object):

    """Ten images from files; of those in ``broken`` nothing can be read."""

    def __init__(self, broken=()):
        self.broken = broken
        self.announced = []

    def __len__(self):
        return 10

    def prefetch(self, indices):
        self.announced.append(list(indices))

    def read(self, indices):
        kept = numpy.array([i not in self.broken for i in indices])
        return numpy.zeros((kept.sum(), 1, 2, 2), numpy.uint8), kept


def take(iterator, n):
    return [next(iterator) for _ in range(n)]


def test_same_order_as_chainers():
    numpy.random.seed(0)
    ours = take(batches.Indices(range(10), 4), 6)
    numpy.random.seed(0)
    assert ours == take(chainer.iterators.SerialIterator(range(10), 4), 6)


def test_what_comes_next_is_announced():
    images = Images()
    iterator = batches.Indices(images, 4)
    batches = take(iterator, 2)
    assert images.announced[0] == batches[0] + batches[1]
    # The third batch goes into the next epoch, whose order is not drawn yet.
    *_, third = images.announced, next(iterator)
    assert images.announced[1] == batches[1] + third[:2]
    assert images.announced[2][:4] == third


def test_a_ranks_share_is_announced():
    images = Images()
    iterator = batches.Indices(images, 4)
    iterator.share = slice(1, None, 2)
    batches = take(iterator, 2)
    assert [len(batch) for batch in batches] == [2, 2]
    assert images.announced[0] == batches[0] + batches[1]


def test_share_of_a_test():
    images = Images()
    iterator = batches.Indices(
        images, 2, slice(1, None, 3), repeat=False, shuffle=False)
    assert list(iterator) == [[1, 4], [7]]
    assert images.announced == [[1, 4, 7], [7]]


def feed(images, broken=()):
    return batches.Feed(
        batches.Indices(images, 2, repeat=False, shuffle=False),
        inputs.converter(images, numpy.arange(10), 'unit'))


def test_first_skips_the_broken():
    assert feed(Images([0, 1])).first(CPU).shape == (1, 1, 2, 2)


def test_batch_of_broken_images():
    _, convert = feed(Images([3, 4]))
    with pytest.raises(errors.UserError, match='all 2 images'):
        convert([3, 4], CPU)
    with chainer.using_config('train', False):
        x, t = convert([3, 4], CPU)
        assert len(x) == len(t) == 0
    assert convert([4, 5], CPU)[1].tolist() == [5]


def test_draws_do_not_depend_on_the_broken():
    states = []
    for images in Images(), Images([1]):
        numpy.random.seed(0)
        inputs.converter(
            images, numpy.arange(10), 'unit',
            transform=inputs.AUGMENTATIONS['shift'].train)([0, 1, 2], CPU)
        states.append(numpy.random.randint(1 << 30))
    assert states[0] == states[1]


def test_shares_of_feeds():
    arrays = numpy.zeros((10, 1, 2, 2), numpy.uint8), numpy.arange(10)
    parts = types.SimpleNamespace(
        name='mnist', train_images=arrays[0], train_labels=arrays[1],
        validation_images=None, validation_labels=None,
        test_images=arrays[0], test_labels=arrays[1])
    for statistics, expected in ('running', [[1, 3], [5, 7], [9]]), (
            'batch', [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]):
        run = types.SimpleNamespace(
            n_ranks=2, share=slice(1, None, 2), args=types.SimpleNamespace(
                batchsize=2, input='unit', augment='none',
                test_statistics=statistics))
        train, validation, test = batches.feeds(parts, run)
        assert validation is None
        assert len(next(train.iterator)) == 2
        assert train.iterator.epoch_detail == .4
        assert list(test.iterator) == expected
