"""Which pictures lie in a folder."""
import os

import numpy

from bnn import errors
from bnn.data import decoding


def subfolders(folder):
    """Returns the folders in a folder that are not hidden.

    Args:
        folder (str): The folder.

    Returns:
        list of str: Their names, sorted.

    Raises:
        UserError: It cannot be read.
    """
    with errors.reading(folder), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries
                      if entry.is_dir() and not entry.name.startswith('.'))


def find(folder, classes):
    """Returns the pictures in the folders of the classes, sorted by name.

    Arrays, since an object for each of a million names takes much memory.

    Args:
        folder (str): The folder of the folders, absolute.
        classes (list of str): What :func:`subfolders` returns of it.

    Returns:
        tuple: Three arrays of shape ``(n,)``: the names ``<class>/<file>``
        (bytes, dtype ``S``), the labels (int32, which of ``classes``) and the
        sizes in bytes (int64).

    Raises:
        UserError: A class has no pictures, its name is not UTF-8, or a folder
            cannot be read.
    """
    names, labels, sizes = [], [], []
    for label, name in enumerate(classes):
        path = os.path.join(folder, name)
        _check_name(folder, name)
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


def _check_name(folder, name):
    """Refuses a class that no file can name later."""
    try:
        name.encode()
    except UnicodeEncodeError:
        escaped = os.fsencode(name).decode(errors='backslashreplace')
        raise errors.UserError(
            f'{folder}: the name of the folder {escaped} is not UTF-8: '
            'rename it') from None
