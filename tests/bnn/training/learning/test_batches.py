"""Batches of indices, and the data that a configuration names."""
import dataclasses

import chainer
import numpy
import pytest

from bnn import data
from bnn import errors
from bnn.kernels import whitening
from bnn.training.command_line import config as config_module
from bnn.training.files import model_file
from bnn.training.files import resume
from bnn.training.learning import batches
from bnn.training.ranks import alone
from tests.helpers import made_data
from tests.helpers import small_runs

CPU = chainer.get_device('@numpy')


class Images:
    """Ten images from files, which note what is announced to them."""

    def __init__(self):
        self.announced = []

    def __len__(self):
        return 10

    def prefetch(self, indices):
        self.announced.append(list(indices))


class Second(alone.Alone):
    """The second of two processes."""

    size = 2
    share = slice(1, None, 2)


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
    first, second = take(iterator, 2)
    assert images.announced[0] == first + second
    # The third batch goes into the next epoch, whose order is not drawn yet.
    third = next(iterator)
    assert images.announced[1] == second + third[:2]
    assert images.announced[2][:4] == third


def test_a_share_is_announced():
    images = Images()
    iterator = batches.Indices(images, 4)
    iterator.share = slice(1, None, 2)
    first, second = take(iterator, 2)
    assert len(first) == len(second) == 2
    assert images.announced[0] == first + second
    images = Images()
    iterator = batches.Indices(
        images, 2, slice(1, None, 3), repeat=False, shuffle=False)
    assert list(iterator) == [[1, 4], [7]]
    assert images.announced == [[1, 4, 7], [7]]


def dataset(images=None):
    images = numpy.arange(40, dtype='u1').reshape(
        10, 1, 2, 2) if images is None else images
    labels = numpy.arange(10, dtype='i')
    return data.Dataset(
        'mnist', 'MNIST', images, labels, images, labels,
        tuple('0123456789'), 'here', images, labels)


def test_training():
    config = config_module.Config(batchsize=2, augment='shift')
    feed = batches.training(dataset(), config, Second())
    assert feed.iterator.repeat
    # Four indices a batch, two of them this process's
    numpy.random.seed(0)
    order = numpy.random.permutation(10)
    numpy.random.seed(0)
    feed = batches.training(dataset(), config, Second())
    assert next(feed.iterator) == order[1:4:2].tolist()
    assert feed.iterator.epoch_detail == .4
    x, t = feed.converter([3, 1], CPU)
    assert (x.shape, x.dtype, t.tolist()) == (
        (2, 1, 2, 2), numpy.float32, [3, 1])


def test_one_pass():
    everything = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    for statistics, expected in (
            ('running', [[1, 3], [5, 7], [9]]), ('batch', everything)):
        config = config_module.Config(
            batchsize=2, test_statistics=statistics, augment='shift')
        for part in 'train', 'validation', 'test':
            feed = batches.one_pass(dataset(), part, config, ranks=Second())
            assert list(feed.iterator) == expected
    feed = batches.one_pass(dataset(), 'train', config, 6)
    assert list(map(len, feed.iterator)) == [6, 4]
    x, t = feed.converter([9, 0], CPU)  # as they are
    numpy.testing.assert_allclose(
        x.ravel() * 255, [36, 37, 38, 39, 0, 1, 2, 3], rtol=1e-6)
    assert t.tolist() == [9, 0]


def load(config, *args):
    return batches.load(config, data.NAMES, *args)


class TestLoad:

    def config(self, given=(), **settings):
        return config_module.Config(
            **settings, given={name: settings[name] for name in given})

    def error(self, config, *args):
        with pytest.raises(errors.UserError) as e:
            load(config, *args)
        assert '\n' not in str(e.value)
        return str(e.value)

    def test_digits(self, capsys):
        found = load(self.config(dataset='digits'))
        assert found.name == 'digits'
        assert len(found.train_labels) + len(found.test_labels) == 1797
        assert capsys.readouterr().out == 'load digits dataset\n'

    def test_dry_run(self):
        found = load(self.config(
            dataset='digits', dry_run=True, batchsize=20, validation=200))
        assert len(found.test_labels) == 61
        assert len(found.train_labels) == 41
        assert len(found.validation_labels) == 20

    def test_validation(self):
        whole = load(self.config(dataset='digits'))
        found = load(self.config(dataset='digits', validation=200))
        numpy.testing.assert_array_equal(
            found.validation_images, whole.train_images[-200:])
        numpy.testing.assert_array_equal(
            found.train_images, whole.train_images[:-200])

    def test_too_large(self):
        n = len(load(self.config(dataset='digits')).train_labels)
        line = self.error(self.config(dataset='digits', validation=n))
        assert f'--validation {n} ' in line and f'{n} training' in line
        line = self.error(self.config(dataset='digits', batchsize=n + 1))
        assert f'--batchsize {n + 1} ' in line and f'{n} training' in line
        # A test alone may have a larger one.
        load(self.config(
            dataset='digits', batchsize=n + 1, evaluate=True))
        self.error(self.config(dataset='digits', batchsize=n // 2 + 1),
                   None, Second())

    def test_data_that_cannot_be_had(self, monkeypatch, capsys):
        load_data = data.load

        def unavailable(name, *args):
            if name == 'digits':
                return load_data(name, *args)
            raise data.UnavailableError('no network')

        monkeypatch.setattr(data, 'load', unavailable)
        found = load(self.config())
        assert found.name == 'digits'
        captured = capsys.readouterr()
        assert 'WARNING: no network' in captured.err
        assert 'no MNIST results' in captured.err
        assert captured.out == 'load MNIST dataset\nload digits dataset\n'
        snapshot = resume.Snapshot('s', {}, {'data_digest': found.digest})
        for config, *more in (
                (self.config(['dataset'], dataset='mnist'),),
                (self.config(dataset='fashion-mnist'),),
                (self.config(evaluate=True),), (self.config(), snapshot)):
            assert self.error(config, *more) == 'no network'

    def test_data_that_the_net_does_not_take(self):
        line = self.error(self.config(dataset='cifar10'))
        assert '--dataset cifar10' in line and 'BinaryMLP' in line
        assert 'mnist or fashion-mnist or digits' in line

    def test_other_data_than_those_of_the_snapshot(self):
        config = self.config(dataset='digits')
        digest = load(config).digest
        snapshot = resume.Snapshot('a/b', {}, {'data_digest': digest})
        load(config, snapshot)
        snapshot = dataclasses.replace(
            snapshot, settings={'data_digest': 'x'})
        assert self.error(config, snapshot).startswith(
            'a/b was made with other data')


def test_whole_images_are_whitened():
    """Then they are moved, and what comes in from outside is 0."""
    random = numpy.random.RandomState(0)
    images = random.randint(0, 256, (6, 3, 4, 4)).astype(numpy.uint8)
    found = whitening.Whitening(
        random.randn(48).astype('f'), random.randn(48, 48).astype('f'))
    dataset = data.Dataset(
        'cifar10', 'CIFAR-10', images, numpy.arange(6, dtype='i'), images,
        numpy.arange(6, dtype='i'), tuple('abcdef'), '', whitening=found)
    config = config_module.Config(
        dataset='cifar10', input='whitened', augment='shift', batchsize=6)
    whole = whitening.whiten(images.astype('f') / 255, *found)
    x, t = batches.one_pass(dataset, 'test', config).converter(range(6), CPU)
    numpy.testing.assert_allclose(x, whole, rtol=1e-4, atol=1e-3)
    x, _ = batches.training(dataset, config).converter(range(6), CPU)
    moved = numpy.pad(whole, ((0, 0), (0, 0), (2, 2), (2, 2)))
    places = []
    for one, padded in zip(x, moved):
        places += [(i, j) for i in range(5) for j in range(5) if abs(
            padded[:, i:i + 4, j:j + 4] - one).max() < 1e-3]
    assert len(places) == 6 and len(set(places)) > 1


def test_whitening_of_the_whole_data(tmp_path):
    """Validation and dry run leave nothing out; a model brings its own."""
    made_data.write_cifar10(tmp_path, n=8)
    dataset = data.load('cifar10', str(tmp_path), True)
    n = 3072
    expected = whitening.Whitening(
        numpy.arange(n, dtype='f'), numpy.eye(n, dtype='f'))
    with open(tmp_path / f'whitening-{dataset.digest}.npz', 'wb') as f:
        numpy.savez(f, digest=dataset.digest, **expected._asdict())
    config = config_module.Config(
        dataset='cifar10', data_dir=str(tmp_path), allow_modified=True,
        input='whitened', batchsize=3, validation=4, dry_run=True)
    found = batches.load(config, data.CIFAR_NAMES)
    assert len(found.train_images) == 7 and len(found.validation_images) == 3
    numpy.testing.assert_array_equal(found.whitening.mean, expected.mean)
    path = str(tmp_path / 'mlp.model')
    for mine, mean in ((None, expected.mean), (expected._replace(
            mean=numpy.ones(n, 'f')), 1)):
        model_file.save(path, small_runs.Net(), {}, mine)
        numpy.testing.assert_array_equal(batches.load(dataclasses.replace(
            config, initmodel=path), data.CIFAR_NAMES).whitening.mean, mean)
