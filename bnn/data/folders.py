"""Where data sets lie, and how their files are opened."""
import contextlib
import os

from bnn import errors


def root():
    """Returns the folder of all data sets.

    Returns:
        str: ``$CHAINER_DATASET_ROOT``, or else ``~/.chainer/dataset``, as
        ``chainer.dataset.get_dataset_root()``.
    """
    return os.environ.get('CHAINER_DATASET_ROOT') or os.path.join(
        '~', '.chainer', 'dataset')


def resolve(path):
    """Returns the absolute path of a folder, which need not exist.

    Args:
        path (str): The folder; ``~`` is the user's home.

    Returns:
        str: The path.

    Raises:
        UserError: It exists and is not a folder.
    """
    folder = os.path.abspath(os.path.expanduser(path))
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise errors.UserError(f'{folder} is not a folder')
    return folder


@contextlib.contextmanager
def open_file(path, advice):
    """Opens a file to read bytes, and says which it is in an error.

    Args:
        path (str): The file.
        advice (str): What the user can do where the content is wrong, for
            which the body of the ``with`` raises ValueError.

    Yields:
        io.BufferedReader: The file.

    Raises:
        UserError: It is not a file, cannot be read, or its content is wrong.
    """
    if not os.path.isfile(path):
        # To open a named pipe would block.
        raise errors.UserError(f'{path} is not a file')
    try:
        with errors.reading(path), open(path, 'rb') as stream:
            yield stream
    except ValueError as error:
        raise errors.UserError(f'{path}: {error}; {advice}') from None


def delete_or_allow(allow_modified):
    """Returns the advice for a file that is not as published."""
    advice = 'delete the file to download it again'
    return advice if allow_modified else (
        f'{advice}, or pass --allow-modified if it is your own data')
