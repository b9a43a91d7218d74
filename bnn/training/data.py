"""The data set that a script's options ask for, as Chainer's iterators."""
import sys

import chainer

from bnn import datasets
from bnn import errors
from bnn.training import reports


def load(args, resume=None):
    """Loads the data set that the options ask for.

    Args:
        args (argparse.Namespace): ``dataset`` (``None``: MNIST), ``data_dir``,
            ``allow_modified``, ``batchsize``, ``dry_run``, ``report``,
            ``evaluate``.  Where MNIST was not asked for by name and cannot be
            had, a new run gets the embedded digits, after a warning.
        resume (~bnn.training.resuming.Resume or None): The run to go
            on with, whose data it has to be.

    Returns:
        ~bnn.datasets.Dataset: The data; a few batches of it in a dry run.

    Raises:
        ~bnn.errors.UserError: If the data cannot be had, are corrupt or
            other ones, or a batch is larger than them.
    """
    name = args.dataset or 'mnist'
    reports.say(args, 'load %s dataset' % datasets.TITLES[name])
    try:
        data = datasets.load(name, args.data_dir, args.allow_modified)
    except datasets.UnavailableError as e:
        if args.dataset is not None or resume is not None or args.evaluate:
            raise
        print('\n*** WARNING: %s\n*** WARNING: training on the embedded '
              'digits instead, 1797 small images: no MNIST results!\n' % e,
              file=sys.stderr)
        reports.say(args, 'load digits dataset')
        data = datasets.load('digits')
    n_validation = args.validation
    if args.dry_run:
        data = data.head(3 * args.batchsize + 1)
        n_validation = min(n_validation, args.batchsize)
    if n_validation >= len(data.train_labels):
        raise errors.UserError(
            '--validation %d leaves nothing to train on: %s has %d training '
            'images' % (n_validation, data.title, len(data.train_labels)))
    if n_validation:
        data = data.with_validation(n_validation)
    if args.batchsize > len(data.train_labels):
        raise errors.UserError(
            '--batchsize %d is larger than the data: %s has %d training '
            'images' % (args.batchsize, data.title, len(data.train_labels)))
    if resume is not None and resume.settings.get(
            'data_digest') != data.digest:
        raise errors.UserError('%s was made with other data than those in %s'
                               % (resume.path, data.source))
    return data


def iterators(data, batchsize):
    """Returns Chainer's iterators over a data set.

    Args:
        data (~bnn.datasets.Dataset): The data.
        batchsize (int): Images in a batch.

    Returns:
        tuple: An endless, shuffled iterator over the training images, one
        pass over the validation part (``None`` without one), and one over
        the test images.
    """
    train = chainer.datasets.TupleDataset(
        data.train_images, data.train_labels)
    validation = None
    if data.validation_labels is not None:
        validation = one_pass(
            data.validation_images, data.validation_labels, batchsize)
    return (chainer.iterators.SerialIterator(train, batchsize), validation,
            one_pass(data.test_images, data.test_labels, batchsize))


def one_pass(images, labels, batchsize):
    """Returns an iterator over images and labels, in their order, once."""
    return chainer.iterators.SerialIterator(
        chainer.datasets.TupleDataset(images, labels), batchsize,
        repeat=False, shuffle=False)
