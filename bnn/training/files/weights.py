"""Weights of a net from a file of any sort that Chainer writes."""
from collections.abc import Mapping
from typing import Any

import chainer
import chainer.links as L
import numpy
from chainer.serializers import npz

from bnn import errors
from bnn.training.files import model_file


def load(path: str, net: chainer.Link) -> None:
    """Loads the weights and statistics of a net.

    Args:
        path: A file of ``chainer.serializers.save_npz`` or ``save_hdf5``, or
            a model of a training script, of the net or of a Classifier
            around it.
        net: The net to fill, initialized.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read, is damaged or
            hostile, or is of another net: the first difference.  The net is
            then as it was.
    """
    with errors.reading(path), open(path, 'rb') as f:
        is_npz = f.read(2) == b'PK'
    if is_npz:
        _load_npz(path, net)
    else:
        first = min(npz.serialize(net), default='')
        model_file.load(path, net if model_file.shape(
            path, f'predictor/{first}') is None else L.Classifier(net))


def _load_npz(path, net):
    # Chainer's reader unpickles what it finds and broadcasts silently.
    try:
        # numpy.load itself leaves a damaged file open.
        with (open(path, 'rb') as f,
              numpy.load(f, allow_pickle=False) as archive):
            names = archive.files
            if any(name.startswith('updater/') for name in names):
                raise errors.UserError(
                    f'{path} is a snapshot of a training: write the net '
                    'alone, chainer.serializers.save_npz(PATH, net)')
            if names and all(name.startswith('predictor/') for name in names):
                net = L.Classifier(net)
            arrays = _read(path, archive, npz.serialize(net))
    except errors.UserError:
        raise
    except Exception as e:  # a hostile file can raise anything in the readers
        raise errors.UserError(
            f'{path} is damaged or holds no weights: '
            f'{errors.one_line(e)}') from e
    npz.NpzDeserializer(arrays).load(net)


def _read(path: str, archive: Mapping[str, numpy.ndarray],
          expected: Mapping[str, Any]) -> dict[str, numpy.ndarray]:
    """Reads the arrays of a net, and no others."""
    # Sorted: Chainer walks a chain's children in no fixed order.
    arrays = {}
    for name, ours in sorted(expected.items()):
        if name not in archive:
            raise errors.UserError(
                f'{path} is not of this net: it has no {name}')
        array = arrays[name] = archive[name]
        if array.dtype.kind not in 'fiu':
            raise errors.UserError(f'{path}: {name} holds no numbers')
        if array.shape != numpy.shape(ours):
            raise errors.UserError(
                f'{path} is not of this net: {name} has the shape '
                f'{array.shape}, here it is {numpy.shape(ours)}')
    for name in sorted(set(archive) - set(expected)):
        raise errors.UserError(
            f'{path} is not of this net, which has no {name}')
    return arrays
