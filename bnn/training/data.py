"""The data set that a script's options ask for, as Chainer's iterators."""
import sys
import typing

import chainer

from bnn import data as datasets
from bnn import errors
from bnn.training import collective
from bnn.training import inputs
from bnn.training import reports


def load(run, default='mnist'):
    """Loads the data set that the options ask for.

    Args:
        run (~bnn.training.session.Session): Its options, the run to go on
            with, whose data it has to be, and its ranks, which have to have
            the same data.
        default (str): The data set where none was named.  Where MNIST cannot
            be had by default, a new run gets the embedded digits, after a
            warning.

    Returns:
        ~bnn.data.Dataset: The data; a few batches of it in a dry run.

    Raises:
        ~bnn.errors.UserError: If the data cannot be had, are corrupt or
            other ones, or a batch is larger than them.
    """
    args, resume, comm = run.args, run.resume, run.comm
    name = args.dataset or default
    reports.say(args, 'load %s dataset' % datasets.TITLES[name])
    try:
        with collective.one_goes_first(comm):  # to download it
            data = datasets.load(name, args.data_dir, args.allow_modified,
                                 getattr(args, 'workers', None))
    except datasets.UnavailableError as e:
        if (args.dataset is not None or resume is not None or args.evaluate
                or name != 'mnist'):
            raise
        print('\n*** WARNING: %s\n*** WARNING: training on the embedded '
              'digits instead, 1797 small images: no MNIST results!\n' % e,
              file=sys.stderr)
        reports.say(args, 'load digits dataset')
        data = datasets.load('digits')
    n_validation = args.validation
    batchsize = args.batchsize * run.n_ranks
    if args.dry_run:
        data = data.head(3 * batchsize + 1)
        n_validation = min(n_validation, batchsize)
    if n_validation >= len(data.train_labels):
        raise errors.UserError(
            '--validation %d leaves nothing to train on: %s has %d training '
            'images' % (n_validation, data.title, len(data.train_labels)))
    if n_validation:
        data = data.with_validation(n_validation)
    if batchsize > len(data.train_labels) and not args.evaluate:
        raise errors.UserError(
            '--batchsize %d%s is larger than the data: %s has %d training '
            'images' % (args.batchsize, ', of %d ranks,' % run.n_ranks
                        if comm else '', data.title, len(data.train_labels)))
    if resume is not None and resume.settings.get(
            'data_digest') != data.digest:
        raise errors.UserError('%s was made with other data than those in %s'
                               % (resume.path, data.source))
    if comm is not None:
        collective.check_alike(comm, data=data.digest)
    return data


class Feed(typing.NamedTuple):

    """Examples as a trainer takes them.

    Attributes:
        iterator (~chainer.dataset.Iterator): Batches of indices.
        converter (callable): Chainer's converter of those to images and
            labels on a device.
    """

    iterator: chainer.dataset.Iterator
    converter: typing.Callable

    def first(self, device):
        """Returns the first image as the net sees it, (1, ...)."""
        with chainer.using_config('train', False):
            batches = (self.converter([i], device)[0]
                       for i in self.iterator.dataset)
            return next(x for x in batches if len(x))  # a broken one is none


class Feeds(typing.NamedTuple):

    """The parts of a data set.

    Attributes:
        train (Feed): Endless, shuffled, with random variants of the images.
        validation (Feed or None): One pass over the validation part, if there
            is one.
        test (Feed): One pass over the test images.
    """

    train: Feed
    validation: Feed
    test: Feed


def feeds(data, run):
    """Returns the parts of a data set for a trainer.

    Args:
        data (~bnn.data.Dataset): The data.
        run (~bnn.training.session.Session): Its options and ranks.

    Returns:
        Feeds: The parts, or this rank's share of them.
    """
    args = run.args
    train = Indices(data.train_images, args.batchsize * run.n_ranks)
    train.share = run.share
    return Feeds(
        Feed(train, _converter(
            data, 'train', args, inputs.AUGMENTATIONS[args.augment].train)),
        None if data.validation_labels is None else one_pass(
            data, 'validation', args, share=run.share),
        one_pass(data, 'test', args, share=run.share))


def one_pass(data, part, args, batchsize=None, share=None):
    """Returns a part of the data as a test has it: in its order, once.

    Args:
        data (~bnn.data.Dataset): The data.
        part (str): ``'train'``, ``'validation'`` or ``'test'``.
        args (argparse.Namespace): Its options.
        batchsize (int): Images in a batch, if not ``args.batchsize``.
        share (slice): Which of them, if not all.

    Returns:
        Feed: The part.
    """
    if share is None or args.test_statistics == 'batch':
        share = slice(None)  # a rank's batches would have other statistics
    return Feed(
        Indices(getattr(data, part + '_images'), batchsize or args.batchsize,
                share, repeat=False, shuffle=False),
        _converter(
            data, part, args, inputs.AUGMENTATIONS[args.augment].test))


def _converter(data, part, args, transform):
    return inputs.converter(
        getattr(data, part + '_images'), getattr(data, part + '_labels'),
        args.input, datasets.STATISTICS[data.name], transform)


class Indices(chainer.iterators.SerialIterator):

    """Chainer's SerialIterator over the indices of images.

    Images that are read from files are told which indices come next, so that
    they are read while the net computes.

    Args:
        images (array-like): The images.
        batch_size (int): Indices in a batch.
        examples (slice): Which of the images, all by default.
        repeat, shuffle: As Chainer's.

    Attributes:
        broken (~bnn.data.pictures.Broken or None): Of images from files
            those that were found broken.
        share (slice): What this rank takes of each batch: the order is of
            all ranks, and so is the state.
    """

    share = slice(None)

    def __init__(self, images, batch_size, examples=slice(None), **kwargs):
        self.broken = getattr(images, 'broken', None)
        self._prefetch = getattr(images, 'prefetch', None)
        super().__init__(
            range(len(images))[examples], batch_size, **kwargs)

    @property
    def following(self):
        """array-like: Indices behind the batch, to the end of the epoch.

        The next order is not drawn yet.
        """
        order = self._state.order
        return (range(len(self.dataset)) if order is None else order)[
            self.current_position:]

    def __next__(self):
        batch = super().__next__()[self.share]
        if self._prefetch is not None:
            following = self.following[:self.batch_size][self.share]
            if self.is_new_epoch and not self.repeat:
                following = []  # which would be the first ones again
            self._prefetch([*batch, *(self.dataset[i] for i in following)])
        return batch

    next = __next__
