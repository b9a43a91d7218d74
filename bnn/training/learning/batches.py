"""A data set as Chainer's iterators and converters."""
import dataclasses
import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import chainer

from bnn import data
from bnn import errors
from bnn.training.command_line import config as config_module
from bnn.training.files import model_file
from bnn.training.files import resume
from bnn.training.files import whitening_cache
from bnn.training.learning import inputs
from bnn.training.ranks import alone
from bnn.training.reports import lines


def load(config: config_module.Config, names: Sequence[str],
         snapshot: resume.Snapshot | None = None,
         ranks: alone.Ranks = alone.ALONE) -> data.Dataset:
    """Loads the data set that a configuration names.

    Where MNIST cannot be had by default, a new run gets the embedded digits,
    after a warning.

    Args:
        config: The configuration.
        names: The data sets that the net takes.
        snapshot: The run to go on with, whose data it has to be.
        ranks: The processes of the run, which have to have the same data.

    Returns:
        The data; a few batches of it in a dry run.

    Raises:
        ~bnn.errors.UserError: If the data cannot be had, are corrupt or
            other ones, are not for the net, or a batch is larger than them.
    """
    name = config.dataset
    if name not in names:
        raise errors.UserError(f'--dataset {name}: {config.net} takes '
                               f'{" or ".join(names)} here')
    lines.say(config, f'load {data.TITLES[name]} dataset')
    try:
        with ranks.one_goes_first():  # to download it
            dataset = data.load(name, config.data_dir, config.allow_modified,
                                config.workers, config.picture_shape)
            if config.input == 'whitened':
                dataset = dataclasses.replace(
                    dataset, whitening=_whitening(dataset, config))
    except data.UnavailableError as e:
        if (config.given.keys() & {'dataset', 'data_dir'} or snapshot
                or name != 'mnist' or config.evaluate):
            raise
        print(f'\n*** WARNING: {e}\n*** WARNING: training on the embedded '
              'digits instead, 1797 small images: no MNIST results!\n',
              file=sys.stderr)
        lines.say(config, 'load digits dataset')
        dataset = data.load('digits')
    if config.evaluate and name in data.PICTURE_NAMES:
        dataset.check_classes(model_file.read_attributes(
            config.initmodel).get('class_names') or (), config.initmodel)
    n_validation = 0 if config.evaluate else config.validation
    batchsize = config.batchsize * ranks.size
    if config.dry_run:
        dataset = dataset.head(3 * batchsize + 1)
        n_validation = min(n_validation, batchsize)
    if n_validation >= len(dataset.train_labels):
        raise errors.UserError(
            f'--validation {n_validation} leaves nothing to train on: '
            f'{dataset.title} has {len(dataset.train_labels)} training '
            'images')
    if n_validation:
        dataset = dataset.with_validation(n_validation)
    if batchsize > len(dataset.train_labels) and not config.evaluate:
        raise errors.UserError(
            f'--batchsize {ranks.describe_batch(config.batchsize)} is larger '
            f'than the data: {dataset.title} has '
            f'{len(dataset.train_labels)} training images')
    if snapshot is not None and snapshot.settings.get(
            'data_digest') != dataset.digest:
        raise errors.UserError(f'{snapshot.path} was made with other data '
                               f'than those in {dataset.source}')
    ranks.check_alike(data=dataset.digest)
    return dataset


def _whitening(dataset, config):
    """Returns that of the model to start from, or else that of the data."""
    if config.initmodel is not None:
        found = model_file.read_whitening(
            config.initmodel, dataset.train_images[0].size)
        if found is not None:
            return found
    return whitening_cache.load(dataset, config)


@dataclasses.dataclass(frozen=True)
class Feed:
    """Examples as Chainer's updater and evaluator take them.

    Attributes:
        iterator: Batches of indices.
        converter: Chainer's converter of those to images and labels on a
            device.
    """

    iterator: chainer.dataset.Iterator
    converter: Callable


def training(dataset: data.Dataset, config: config_module.Config,
             ranks: alone.Ranks = alone.ALONE) -> Feed:
    """Returns the training images: endless, shuffled, varied at random.

    Args:
        dataset: The data.
        config: The size of a batch, scaling and augmentation.
        ranks: The processes, each of which takes its part of every batch.
    """
    iterator = Indices(dataset.train_images, config.batchsize * ranks.size)
    iterator.share = ranks.share
    return Feed(iterator, _converter(
        dataset, 'train', config,
        inputs.AUGMENTATIONS[config.augment].train))


def one_pass(dataset: data.Dataset, part: str, config: config_module.Config,
             batchsize: int | None = None,
             ranks: alone.Ranks = alone.ALONE,
             are_varied: bool = False) -> Feed:
    """Returns a part of the data in its order, once.

    Args:
        dataset: The data.
        part: ``'train'``, ``'validation'`` or ``'test'``.
        config: Its settings.
        batchsize: Images in a batch, if not the configuration's.
        ranks: The processes that share the images.
        are_varied: Whether the images are varied at random, as in training.
    """
    share = ranks.share
    if config.test_statistics == 'batch':
        share = slice(None)  # The batches of a share have other statistics.
    iterator = Indices(
        getattr(dataset, part + '_images'), batchsize or config.batchsize,
        share, repeat=False, shuffle=False)
    augmentation = inputs.AUGMENTATIONS[config.augment]
    return Feed(iterator, _converter(
        dataset, part, config,
        augmentation.train if are_varied else augmentation.test))


def _converter(dataset, part, config, transform):
    rescale = inputs.rescaler(
        config.input, dataset.whitening if config.input == 'whitened'
        else data.statistics(dataset.name, dataset.train_images.shape[1]))
    if config.input == 'whitened' and transform is not None:
        # The statistics are of whole images: what is moved in from outside
        # is 0 behind the whitening, where 0 is the mean.
        rescale, transform = _composed(rescale, transform), None
    return inputs.converter(
        getattr(dataset, part + '_images'),
        getattr(dataset, part + '_labels'), rescale, transform)


def _composed(first, second):
    return lambda x: second(first(x))


class Indices(chainer.iterators.SerialIterator):
    """Chainer's SerialIterator over the indices of images.

    Images that are read from files are told which indices come next, so that
    they are read while the net computes.

    Args:
        images: The images.
        batch_size: Indices in a batch.
        examples: Which of the images, all by default.
        repeat, shuffle: As Chainer's.

    Attributes:
        broken (~bnn.data.pictures.Broken or None): The images from files
            that were found broken.
        share (slice): What this process takes of each batch.  The order is
            of all processes, and so is the state.
    """

    share = slice(None)

    def __init__(self, images: Any, batch_size: int,
                 examples: slice = slice(None), **kwargs: Any) -> None:
        self.broken = getattr(images, 'broken', None)
        self._prefetch = getattr(images, 'prefetch', None)
        super().__init__(
            range(len(images))[examples], batch_size, **kwargs)

    def __next__(self) -> list[int]:
        batch = super().__next__()[self.share]
        if self._prefetch is not None:
            self._prefetch([*batch, *self._following()])
        return batch

    next = __next__

    def _following(self):
        """Returns this process's part of the next batch, if it is known."""
        if self.is_new_epoch and not self.repeat:
            return []
        position, order = self.current_position, self._state.order
        places = range(len(self.dataset))[
            position:position + self.batch_size][self.share]
        return [self.dataset[i if order is None else order[i]]
                for i in places]
