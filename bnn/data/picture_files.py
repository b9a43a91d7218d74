"""Which pictures lie in a folder, read once and cached."""
import contextlib
import hashlib
import json
import os
import time

import numpy

from bnn import errors
from bnn.data import decoding

# To be changed with what the cache holds
_VERSION = 2
# No file system's times of change are coarser.
_COARSE_NS = 2 * 10 ** 9


def subfolders(folder):
    """Returns the folders in a folder that are not hidden.

    Args:
        folder (str): The folder.

    Returns:
        dict: Their names, sorted, and times of change in nanoseconds.

    Raises:
        UserError: It cannot be read.
    """
    with errors.reading(folder), os.scandir(folder) as entries:
        return {
            entry.name: entry.stat().st_mtime_ns
            for entry in sorted(entries, key=lambda entry: entry.name)
            if entry.is_dir() and not entry.name.startswith('.')}


def find(folder, classes):
    """Returns the pictures in the folders of the classes, sorted by name.

    Arrays, since an object for each of a million names takes much memory.

    Args:
        folder (str): The folder of the folders, absolute.
        classes (dict): What :func:`subfolders` returns of it.

    Returns:
        tuple: Three arrays of shape ``(n,)``: the names ``<class>/<file>``
        (bytes, dtype ``S``), the labels (int32, which of ``classes``) and the
        sizes in bytes (int64).

    Raises:
        UserError: A class has no pictures, or a folder cannot be read.
    """
    stamp = numpy.array(json.dumps([_VERSION, decoding.EXTENSIONS, classes]))
    cache = _cache_path(folder)
    # A damaged file raises anything; it is made anew.
    with contextlib.suppress(Exception):
        # numpy.load itself leaves a damaged file open.
        with open(cache, 'rb') as stream, numpy.load(
                stream, allow_pickle=False) as stored:
            if stored['stamp'] == stamp:
                return stored['names'], stored['labels'], stored['sizes']
    now = time.time_ns()
    names, labels, sizes = _scan(folder, classes)
    # A file that is added at once would not change such a time.
    if max(classes.values()) < now - _COARSE_NS:
        # Where it cannot be written, the next start scans again.
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(cache), exist_ok=True)
            with open(cache, 'wb') as stream:
                numpy.savez(stream, stamp=stamp, names=names, labels=labels,
                            sizes=sizes)
    return names, labels, sizes


def _scan(folder, classes):
    names, labels, sizes = [], [], []
    for label, name in enumerate(classes):
        path = os.path.join(folder, name)
        with errors.reading(path), os.scandir(path) as entries:
            found = sorted(
                (os.fsencode(f'{name}/{entry.name}'), entry.stat().st_size)
                for entry in entries
                if entry.name.lower().endswith(decoding.EXTENSIONS)
                and not entry.name.startswith('.') and entry.is_file())
        if not found:
            raise errors.UserError(
                f'{path} has no pictures ({", ".join(decoding.EXTENSIONS)})')
        names.append(numpy.array([file for file, _ in found]))
        labels.append(numpy.full(len(found), label, numpy.int32))
        sizes.append(numpy.array([size for _, size in found], numpy.int64))
    return tuple(map(numpy.concatenate, (names, labels, sizes)))


def _cache_path(folder):
    root = os.environ.get('XDG_CACHE_HOME') or os.path.join('~', '.cache')
    key = hashlib.blake2b(os.fsencode(folder), digest_size=16).hexdigest()
    return os.path.join(
        os.path.expanduser(root), 'binary_net', f'pictures-{key}.npz')
