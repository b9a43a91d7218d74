"""The whitening of a data set, computed once and kept beside the data."""
import os
import sys

import numpy

from bnn import data
from bnn import errors
from bnn.kernels import whitening
from bnn.training.command_line import config as config_module
from bnn.training.files import atomic
from bnn.training.files import snapshots
from bnn.training.reports import lines


def load(dataset: data.Dataset, config: config_module.Config
         ) -> whitening.Whitening:
    """Returns the whitening of the training images of a data set.

    It is read from ``whitening-<digest of the data>.npz`` in the folder of
    the data (of CIFAR-10 38 MB).  Where there is none, or what is there is
    damaged or something else, it is computed, in half a minute of a core,
    and written there; a folder that cannot be written only costs that time
    again.

    Args:
        dataset: The data, whole: no part split off, none left out.
        config: Which lines the run prints.

    Raises:
        ~bnn.errors.UserError: If there are too few images.
    """
    folder = dataset.source
    if not os.path.isdir(folder):  # an archive
        folder = os.path.dirname(folder)
    path = os.path.join(folder, f'whitening-{dataset.digest}.npz')
    n = dataset.train_images[0].size
    if os.path.lexists(path):
        try:
            return _read(path, n, dataset.digest)
        except errors.UserError as e:
            print(f'warning: {e}; computing it anew', file=sys.stderr)
    lines.say(config, f'compute the whitening of {dataset.title}')
    found = whitening.fit(dataset.train_images)
    try:
        with atomic.write(path) as f:
            numpy.savez(f, digest=numpy.array(dataset.digest),
                        **found._asdict())
    except errors.UserError as e:
        print(f'warning: {e}; the next run computes the whitening again',
              file=sys.stderr)
    return found


def _read(path, n, digest):
    try:
        if not os.path.isfile(path):  # to open a named pipe would block
            raise ValueError('it is not a file')
        with open(path, 'rb') as f:
            arrays = snapshots.read_arrays(f)
        if str(arrays['digest']) != digest:
            raise ValueError('it is of other data')
        return whitening.check(arrays, n)
    except Exception as e:  # a hostile file can raise anything in the readers
        raise errors.UserError(
            f'{path} is damaged or not a whitening of this data: '
            f'{errors.one_line(e)}') from e
