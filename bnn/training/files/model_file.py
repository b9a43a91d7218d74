"""Model files: HDF5, with attributes that say what is inside."""
import contextlib
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import chainer
import h5py
import numpy
from chainer.serializers import npz

from bnn import errors
from bnn import memory
from bnn.kernels import whitening as whitening_module
from bnn.training.files import atomic

FORMAT = 'bnn-model'
FORMAT_VERSION = 1
_WHITENING = 'whitening/'
_CHUNK = 1 << 20
# Nothing is deflated to less than its 1032nd part.
_DEFLATE = 1032
# Bytes that a net may take beyond that: a little larger one is made, and the
# message names the first array that differs.
_SLACK = 1 << 28


def save(path: str, target: Any,
         attributes: dict[str, Any] | None = None,
         whitening: whitening_module.Whitening | None = None) -> None:
    """Saves a link or an optimizer to HDF5.

    Args:
        path: The file.
        target (~chainer.Link or ~chainer.Optimizer): What to save.
        attributes: Facts to keep beside it, each stored as
            JSON in an attribute of the file.
        whitening: What whitens the images of the net, if they are; arrays
            of the group ``whitening``.

    Raises:
        ~bnn.errors.UserError: If the file cannot be written.
    """
    # In memory first: HDF5 itself does not survive a full disk.
    buffer = io.BytesIO()
    with h5py.File(buffer, 'w') as f:
        # Chainer's gzip takes 15 times as long, for 7 to 12 % of the bytes.
        chainer.serializers.HDF5Serializer(f, compression=None).save(target)
        if attributes is not None:
            f.attrs['format'] = FORMAT
            f.attrs['format_version'] = FORMAT_VERSION
            for name, value in attributes.items():
                f.attrs[name] = json.dumps(value)
        if whitening is not None:
            for name, array in whitening._asdict().items():
                f[_WHITENING + name] = array
    with atomic.write(path) as f:
        f.write(buffer.getbuffer())


def read_attributes(path: str) -> dict[str, Any]:
    """Reads what a model file says of itself.

    Args:
        path: The file.

    Returns:
        The attributes that :func:`save` got; empty for a file of
        another program, which may still have the right parameters.

    Raises:
        ~bnn.errors.UserError: If it is missing, truncated, not HDF5, or
            written by a later version.
    """
    with _open(path) as f:
        if f.attrs.get('format') != FORMAT:
            return {}
        version = f.attrs.get('format_version')
        if version != FORMAT_VERSION:
            raise errors.UserError(
                f'{path} has format version {version}; this program reads '
                f'{FORMAT_VERSION}: update it')
        return {name: json.loads(value) for name, value in f.attrs.items()
                if not name.startswith('format')}


def digest(path: str) -> str:
    """Returns 40 hex digits that tell the bytes of a file from others'.

    Args:
        path: The file.

    Raises:
        ~bnn.errors.UserError: If it cannot be read.
    """
    state = hashlib.blake2b(digest_size=20)
    with errors.reading(path), open(path, 'rb') as f:
        while chunk := f.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


@contextlib.contextmanager
def bounded(path: str) -> Iterator[None]:
    """Refuses to make a net that is far larger than a model file.

    What a file says of its net may be wrong, or hostile.  Within this context
    the process gets little more memory than the arrays of the file take.

    Args:
        path: The file.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read, or the net is
            larger.
    """
    with _open(path) as f:
        # What has a shape but was never stored would take memory as well.
        n_bytes = sum(
            array.nbytes for array in map(f.get, _names(f))
            if array.nbytes <= _DEFLATE * array.id.get_storage_size())
    with at_most(path, n_bytes):
        yield


def shape(path: str, name: str) -> tuple[int, ...] | None:
    """Returns the shape of an array in a model file, if it is there.

    Args:
        path: The file.
        name: The array, ``'predictor/l1/W'``.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read.
    """
    with _open(path) as f:
        array = _dataset(f, name)
        return None if array is None else array.shape


def read_whitening(path: str, n: int) -> whitening_module.Whitening | None:
    """Reads what whitens the images of a model.

    Args:
        path: The file.
        n: Values of an image.

    Returns:
        The whitening, or ``None`` where the file has none.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read, or it is of other
            images.
    """
    with _open(path) as f:
        arrays = {name: array for name in whitening_module.Whitening._fields
                  if (array := _dataset(f, _WHITENING + name)) is not None}
        return whitening_module.check(arrays, n) if arrays else None


@contextlib.contextmanager
def at_most(path: str, n_bytes: int) -> Iterator[None]:
    """Refuses to make a net that is far larger than some arrays.

    Args:
        path: Where they are, for the message.
        n_bytes: What they take.

    Raises:
        ~bnn.errors.UserError: If the net is larger.
    """
    try:
        # A parameter has a gradient, and initial values of float64.
        with memory.limited(8 * n_bytes + _SLACK):
            yield
    except MemoryError as e:
        raise errors.UserError(
            f'{path} is not of this net: its arrays take {n_bytes:,} bytes, '
            'those of the net many more; name the file of another model'
        ) from e


def load(path: str, model: chainer.Link) -> None:
    """Loads the parameters and statistics of a model.

    Every name, shape and type is compared first: Chainer would broadcast a
    wrong shape silently, and leave out what the model has not.

    Args:
        path: A file of :func:`save`, or of
            ``chainer.serializers.save_hdf5``.
        model: The model to fill, initialized.

    Raises:
        ~bnn.errors.UserError: If the file is missing, truncated, hostile, or
            of another net; the model is then as it was.
    """
    with _open(path) as f:
        # Sorted: Chainer walks a chain's children in no fixed order, and the
        # first difference that a message names should not vary.
        expected = npz.serialize(model)
        for name, ours in sorted(expected.items()):
            theirs = _dataset(f, name)
            if theirs is None:
                raise errors.UserError(
                    f'{path} is not of this net: it has no {name}')
            if theirs.shape != numpy.shape(ours):
                raise errors.UserError(
                    f'{path} is not of this net: {name} has the shape '
                    f'{theirs.shape}, here it is {numpy.shape(ours)}')
            if theirs.dtype.kind not in 'fiu':
                raise errors.UserError(
                    f'{path}: {name} holds no numbers')
        for name in sorted(set(_names(f)) - set(expected)):
            if name.startswith(_WHITENING):
                continue
            raise errors.UserError(
                f'{path} is not of this net, which has no {name}')
        chainer.serializers.HDF5Deserializer(f).load(model)


def _names(f):
    """Returns the names of the arrays in a file."""
    names = []
    f.visit(names.append)
    return [name for name in names if _dataset(f, name) is not None]


def _dataset(f, name):
    # Hard links and plain storage only: others can reach into other files.
    group = f
    for part in name.split('/'):
        if (not isinstance(group, h5py.Group)
                or not isinstance(group.get(part, getlink=True),
                                  h5py.HardLink)):
            return None
        group = group[part]
    if (not isinstance(group, h5py.Dataset) or group.external
            or group.is_virtual):
        return None
    return group


@contextlib.contextmanager
def _open(path):
    """Opens HDF5 for reading; what h5py says of it becomes a UserError."""
    with errors.reading(path), open(path, 'rb') as f:
        magic = f.read(8)
    if magic[:2] == b'PK':
        raise errors.UserError(
            f'{path} is a snapshot, not a model file; use --resume for it')
    try:
        with h5py.File(path, 'r') as f:
            yield f
    # What h5py raises on broken or hostile contents.
    except (OSError, RuntimeError, ValueError, KeyError, TypeError,
            MemoryError) as e:
        raise errors.UserError(
            f'{path} is damaged or not a model file: {errors.one_line(e)}'
        ) from e
