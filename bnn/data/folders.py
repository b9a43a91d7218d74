"""Where data sets lie."""
import os

from bnn import errors


def root():
    """Returns the folder of all data sets, as Chainer has it.

    Returns:
        str: The folder of ``chainer.dataset.get_dataset_root()``.

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
