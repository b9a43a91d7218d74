"""Where the pictures of a folder lie, read once and cached."""
import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import time

import numpy

from bnn import errors as base_errors
from bnn.data import decoding
from bnn.data import errors

# Of the cached index, to be changed with its content
_VERSION = 1
# No file system's times of change are coarser
_COARSE_NS = 2 * 10 ** 9


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """The pictures of one part, sorted by class and name.

    Attributes:
        folder (str): The folder of the part.
        classes (tuple of str): The folders of the classes in it, sorted.
        labels (numpy.ndarray): int32, shape ``(n,)``: which of ``classes``.
        names (numpy.ndarray): uint8, the names of the files, one after the
            other.
        ends (numpy.ndarray): int64, shape ``(n,)``: where in ``names`` each
            one ends.
        sizes (numpy.ndarray): int64, shape ``(n,)``, in bytes.

    """

    folder: str
    classes: tuple
    labels: numpy.ndarray
    names: numpy.ndarray
    ends: numpy.ndarray
    sizes: numpy.ndarray

    def __len__(self):
        return len(self.labels)

    def name(self, row):
        """Returns ``<class>/<file>`` of a picture, bytes."""
        start = self.ends[row - 1] if row else 0
        return b'%s/%s' % (
            os.fsencode(self.classes[self.labels[row]]),
            self.names[start:self.ends[row]].tobytes())

    def path(self, row):
        """Returns the path of a picture, str."""
        return os.path.join(self.folder, os.fsdecode(self.name(row)))


def subfolders(folder):
    """Returns the folders in a folder that are not hidden.

    Args:
        folder (str): The folder.

    Returns:
        dict: Their names, sorted, and times of change in nanoseconds.

    Raises:
        UserError: It cannot be read.

    """
    with _reading(folder), os.scandir(folder) as entries:
        return {
            entry.name: entry.stat().st_mtime_ns
            for entry in sorted(entries, key=lambda entry: entry.name)
            if entry.is_dir() and not entry.name.startswith('.')}


def find(folder, time_ns, classes):
    """Returns the pictures of a part, which the cache may know.

    Args:
        folder (str): The folder of the part, absolute.
        time_ns (int): Its time of change.
        classes (dict): What :func:`subfolders` returns of it.

    Returns:
        Files: The pictures.

    Raises:
        CorruptError: A class has none.
        UserError: A folder cannot be read.

    """
    stamp = json.dumps([_VERSION, decoding.EXTENSIONS, time_ns, classes])
    stamp = numpy.frombuffer(stamp.encode(), numpy.uint8)
    cache = _cache_path(folder)
    arrays = _read_cache(cache, stamp)
    if arrays is None:
        now = time.time_ns()
        arrays = _scan(folder, classes)
        # A file that is added at once would not change such a time
        if max(time_ns, *classes.values()) < now - _COARSE_NS:
            _write_cache(cache, stamp=stamp, **arrays)
    return Files(folder, tuple(classes), **arrays)


def _scan(folder, classes):
    counts, names, lengths, sizes = [], [], [], []
    for name in classes:
        path = os.path.join(folder, name)
        with _reading(path), os.scandir(path) as entries:
            found = sorted(
                (os.fsencode(entry.name), entry.stat().st_size)
                for entry in entries
                if entry.name.lower().endswith(decoding.EXTENSIONS)
                and not entry.name.startswith('.') and entry.is_file())
        if not found:
            raise errors.CorruptError(
                f'{path} has no pictures ({", ".join(decoding.EXTENSIONS)})')
        counts.append(len(found))
        names.append(b''.join(file for file, _ in found))
        lengths.append(numpy.array([len(file) for file, _ in found]))
        sizes.append(numpy.array([size for _, size in found]))
    return {
        'labels': numpy.repeat(
            numpy.arange(len(counts), dtype=numpy.int32), counts),
        'names': numpy.frombuffer(b''.join(names), numpy.uint8),
        'ends': numpy.concatenate(lengths).cumsum(dtype=numpy.int64),
        'sizes': numpy.concatenate(sizes).astype(numpy.int64)}


@contextlib.contextmanager
def _reading(path):
    try:
        yield
    except OSError as error:
        raise base_errors.UserError(
            f'cannot read {path}: {error.strerror or error}') from None


def _cache_path(folder):
    root = os.environ.get('XDG_CACHE_HOME') or os.path.join('~', '.cache')
    key = hashlib.blake2b(os.fsencode(folder), digest_size=16).hexdigest()
    return os.path.join(
        os.path.expanduser(root), 'binary_net', f'pictures-{key}.npz')


def _read_cache(path, stamp):
    try:
        # numpy.load itself leaves a damaged file open
        with open(path, 'rb') as stream, numpy.load(
                stream, allow_pickle=False) as stored:
            arrays = dict(stored)
        if numpy.array_equal(arrays.pop('stamp'), stamp):
            return arrays
    except Exception:
        # Of a damaged file, any; it is made anew
        pass
    return None


def _write_cache(path, **arrays):
    # Without a cache everything works, later
    temporary = f'{path}.{secrets.token_hex(4)}.part'
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(temporary, 'xb') as stream:
                numpy.savez(stream, **arrays)
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                os.remove(temporary)
