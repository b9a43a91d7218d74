"""Weights of a net from a file of any sort that Chainer writes."""
import io
import math
import zipfile
from typing import Any

import chainer
import chainer.links as L
import numpy
from chainer.serializers import npz

from bnn import errors
from bnn.training.files import model_file

# A header of an array takes at most as much.
_MAX_HEADER = 1 << 16


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
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix('.npy'): info
                       for info in archive.infolist()}
            if any(name.startswith('updater/') for name in members):
                raise errors.UserError(
                    f'{path} is a snapshot of a training: write the net '
                    'alone, chainer.serializers.save_npz(PATH, net)')
            if members and all(
                    name.startswith('predictor/') for name in members):
                net = L.Classifier(net)
            arrays = _read(path, archive, members, npz.serialize(net))
    except errors.UserError:
        raise
    except Exception as e:  # a hostile file can raise anything in the readers
        raise errors.UserError(
            f'{path} is damaged or holds no weights: '
            f'{errors.one_line(e)}') from e
    npz.NpzDeserializer(arrays).load(net)


def _read(path: str, archive: zipfile.ZipFile,
          members: dict[str, zipfile.ZipInfo], expected: dict[str, Any]
          ) -> dict[str, numpy.ndarray]:
    """Reads the arrays of a net, and no more than it has."""
    # Sorted: Chainer walks a chain's children in no fixed order.
    arrays = {}
    for name, ours in sorted(expected.items()):
        if name not in members:
            raise errors.UserError(
                f'{path} is not of this net: it has no {name}')
        with archive.open(members[name]) as f:
            head = io.BytesIO(f.read(_MAX_HEADER))
            shape, is_fortran, dtype = (
                numpy.lib.format.read_array_header_1_0
                if numpy.lib.format.read_magic(head) == (1, 0)
                else numpy.lib.format.read_array_header_2_0)(head)
            if dtype.kind not in 'fiu':
                raise errors.UserError(f'{path}: {name} holds no numbers')
            if shape != numpy.shape(ours):
                raise errors.UserError(
                    f'{path} is not of this net: {name} has the shape '
                    f'{shape}, here it is {numpy.shape(ours)}')
            n_bytes = math.prod(shape) * dtype.itemsize
            data = head.read(n_bytes)
            data += f.read(n_bytes - len(data))
            # At the end of the member its checksum is compared.
            if len(data) != n_bytes or head.read(1) or f.read(1):
                raise ValueError(f'{name} is cut off or too long')
        arrays[name] = numpy.frombuffer(data, dtype).reshape(
            shape, order='F' if is_fortran else 'C')
    for name in sorted(set(members) - set(expected)):
        raise errors.UserError(
            f'{path} is not of this net, which has no {name}')
    return arrays
