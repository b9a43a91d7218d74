"""train.py, and small data for it."""
import pytest

from tests.helpers import made_data
from tests.helpers import scripts


@pytest.fixture
def script(tmp_path):
    """train.py, in a folder of the test."""
    return scripts.Call(tmp_path, 'train.py')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A folder of small data: cifar10, imagenet."""
    folder = tmp_path_factory.mktemp('made')
    made_data.write_cifar10(folder / 'cifar10', n=40)
    made_data.write_pictures(folder / 'imagenet', n_train=1, n_val=1)
    return folder
