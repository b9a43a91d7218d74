"""How a process finds out whether it is a rank."""
import sys

import pytest

from bnn import errors
from bnn.training.ranks import launcher

VARIABLES = ('PMI_RANK', 'OMPI_COMM_WORLD_RANK', 'PMIX_RANK', 'PMI_SIZE',
             'OMPI_COMM_WORLD_SIZE')


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_rank(monkeypatch):
    assert launcher.launched_rank() is None
    for name, value in ('PMIX_RANK', 2), ('PMI_RANK', 0):
        monkeypatch.setenv(name, str(value))
        assert launcher.launched_rank() == value


def test_check_alone(monkeypatch):
    launcher.check_alone()
    for size in '1', '4':
        monkeypatch.setenv('PMI_SIZE', size)
        if size == '1':
            launcher.check_alone()
            continue
        with pytest.raises(errors.UserError, match='4 times.*--distributed'):
            launcher.check_alone()


def test_needs_mpi4py(monkeypatch):
    monkeypatch.setattr(launcher, '_joining', False)
    monkeypatch.setitem(sys.modules, 'mpi4py', None)
    with pytest.raises(errors.UserError, match=(
            'pip install -r requirements-distributed.txt')):
        launcher.communicator()


@pytest.mark.parametrize('name', ['flat', 'pure_nccl'])
def test_needs_gpu(name):
    with pytest.raises(errors.UserError, match=name + ' needs a GPU'):
        launcher.communicator(name)


def test_leaves_with_the_status():
    for status in 0, None, 2, 'an error':
        with pytest.raises(SystemExit) as e:
            launcher.leave(status)
        assert e.value.code == status
