"""What starts processes under mpiexec."""
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from tests.helpers import scripts

MPIEXEC = pathlib.Path(sys.executable).with_name('mpiexec')
WORKER = pathlib.Path(__file__).with_name('worker.py')


class Ranks(scripts.Process):
    """``train.py CONFIG --distributed`` on ranks.

    Attributes:
        n (int): How many.
        config (tuple of str): The words that stand first.
        on_rank_1 (tuple of str): More options of that rank alone.
    """

    n, config, on_rank_1 = 2, ('binary_net', '--distributed'), ()

    def __init__(self, cwd):
        super().__init__(cwd, 'train.py')

    def words(self, *options):
        rank = super().words(*self.config, *options)
        first = self.n - 1 if self.on_rank_1 else self.n
        words = [str(MPIEXEC), '-n', str(first), *rank]
        if self.on_rank_1:
            words += [':', '-n', '1', *rank, *map(str, self.on_rank_1)]
        return words


class OneProcess(scripts.Call):
    """``train.py binary_net`` without ranks, called in this process."""

    def run(self, *options, **kwargs):
        return super().run('binary_net', *options, **kwargs)


@pytest.fixture
def mpi():
    """Skips the test where there is no MPI."""
    if importlib.util.find_spec('mpi4py') is None:
        pytest.skip('no mpi4py: pip install -r requirements-distributed.txt')


@pytest.fixture
def ranks(mpi, tmp_path):
    """:class:`Ranks` in a folder of the test."""
    return Ranks(tmp_path)


@pytest.fixture
def alone(tmp_path):
    """:class:`OneProcess` in the same folder."""
    return OneProcess(tmp_path, 'train.py')


@pytest.fixture
def work(mpi, tmp_path):
    """A function that runs worker.py on n ranks, or alone for n = 0."""
    (tmp_path / 'out').mkdir()

    def work(n, *arguments, status=0):
        words = [sys.executable, '-W', 'error', WORKER, *arguments]
        if n:
            words = [MPIEXEC, '-n', n, *words]
        env = {} if n else {'ALONE': '1'}
        result = subprocess.run(
            [str(word) for word in words], cwd=tmp_path, text=True,
            capture_output=True, timeout=300, check=False,
            env={**os.environ, 'PYTHONPATH': str(scripts.ROOT), **env,
                 'OMP_NUM_THREADS': '1'})
        assert result.returncode == status, result
        return result

    return work
