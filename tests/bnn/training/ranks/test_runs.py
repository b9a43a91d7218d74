"""Runs of a few ranks against one process."""
import json
import os
import signal
import subprocess
import sys

import numpy
import pytest

from tests.bnn.training.ranks import conftest
from tests.helpers import made_data
from tests.helpers import scripts

pytestmark = pytest.mark.slow


@pytest.fixture
def state(work, tmp_path):
    """A function that trains and returns the snapshot."""
    def state(n, *arguments):
        work(n, 'train', *arguments)
        with numpy.load(tmp_path / 'out/state', allow_pickle=False) as arrays:
            return dict(arrays)

    return state


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        if array.dtype.kind == 'f' and 'elapsed' not in name:
            numpy.testing.assert_allclose(
                array, theirs[name], rtol=1e-10, atol=1e-13, err_msg=name)
        elif array.dtype.kind in 'iu':
            numpy.testing.assert_array_equal(array, theirs[name], name)


def test_training_equals_one_process(state, tmp_path):
    def log(name):
        entries = json.loads((tmp_path / f'out/log-{name}').read_text())
        for entry in entries:
            del entry['elapsed_time']
        return entries

    two, one = state(2, 5), state(0, 5)
    assert_same(two, one)
    assert log(0) == log(1)
    assert len(log(0)) == 2
    for ours, theirs in zip(log(0), log(None), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-10)
    assert abs(one['updater/model:main/predictor/l1/W']).max() == 0.1


def test_first_update_counts(state):
    start, first, expected = state(2, 0), state(2, 1), state(0, 1)
    name = 'updater/model:main/predictor/l1/W'
    assert (start[name] != first[name]).mean() > 0.9
    assert first['updater/optimizer:main/t'] == 1
    assert_same(first, expected)


def test_training_goes_on_with_other_ranks(state, tmp_path):
    expected = state(0, 7)
    for before, after in (2, 0), (0, 2), (2, 4):
        # Within an epoch, with half of its means added
        state(before, 4)
        os.replace(tmp_path / 'out/state', tmp_path / 'half')
        assert_same(state(after, 7, 'half'), expected)


def test_means_go_on_with_three_ranks(work):
    work(3, 'sum_up')


def test_gradients_of_any_memory_layout(work):
    work(2, 'average')


@pytest.mark.parametrize('n', [1, 23])
def test_evaluation_equals_one_process(work, n):
    two, one = (
        [float(word) for word in work(ranks, 'evaluate', n).stdout.split()]
        for ranks in (2, 0))
    assert two == pytest.approx(one, rel=1e-13)


@pytest.mark.parametrize('part', ['train', 'test'])
class TestBrokenImages:

    @pytest.fixture
    def write(self, tmp_path):
        """A function that writes pictures, n of each part broken."""
        def write(n):
            made_data.write_pictures(tmp_path / 'data', n_train=20, n_val=20)
            for part in 'train', 'val':
                paths = sorted((tmp_path / 'data' / part).rglob('*.jpg'))
                for path in paths[::len(paths) // n][:n]:
                    path.write_bytes(b'torn')
        return write

    # Ten of such a small part may be broken.
    def test_are_counted_once(self, work, write, part):
        write(10)
        result = work(2, 'broken', 'data', part)
        assert result.stdout == '10\n'
        lines = result.stderr.splitlines()
        assert len(set(lines)) == len(lines) == 10
        assert all(line.startswith('warning: left out ') for line in lines)

    def test_too_many_of_all_ranks(self, work, write, part):
        write(11)
        result = work(2, 'broken', 'data', part, status=1)
        assert 'error: 11 of the 40 pictures in ' in result.stderr
        assert 'where 10 may be' in result.stderr


def test_all_fail(work):
    result = work(2, 'fail', 'error', 'all', status=1)
    assert result.stderr == 'worker: error: no space left\n'


@pytest.mark.parametrize('rank,prefix', [(0, ''), (1, 'rank 1: ')])
def test_one_fails(work, rank, prefix):
    result = work(2, 'fail', 'error', rank, status=1)
    assert prefix + 'worker: error: no space left\n' in result.stderr
    assert result.stderr.count('no space left') == 1


def test_one_has_a_bug(work):
    result = work(2, 'fail', 'bug', 1, status=1)
    assert 'rank 1: Traceback' in result.stderr
    assert 'ZeroDivisionError: a bug' in result.stderr


def test_one_is_killed(work):
    result = work(2, 'fail', 'kill', 1, status=signal.SIGKILL)
    assert 'Killed' in result.stdout + result.stderr


def test_signal_of_one_stops_all_at_once(work):
    assert work(2, 'stop_at_signal', status=143).stdout == '15 20\n'


def test_one_rank(work):
    assert work(1, 'same').stderr == ''


def test_rank_0_is_followed(work):
    result = work(2, 'same', status=1)
    assert result.stderr == (
        'worker: error: rank 0 and rank 1 have different data: 0 and 1\n')


@pytest.mark.parametrize('env,words', [
    ({}, '--distributed runs under mpiexec: mpiexec -n 2 '
     f'{conftest.WORKER} same\n'),
    ({'OMPI_COMM_WORLD_RANK': '0', 'OMPI_COMM_WORLD_SIZE': '2'},
     'mpiexec started 2 processes, but mpi4py uses another MPI, ')])
def test_outside_its_mpiexec(mpi, tmp_path, env, words):
    result = subprocess.run(
        [sys.executable, conftest.WORKER, 'same'], text=True, check=False,
        env={**os.environ, 'PYTHONPATH': str(scripts.ROOT), **env},
        cwd=tmp_path, capture_output=True)
    assert result.returncode == 1
    assert result.stderr.startswith('worker: error: ' + words)
    assert len(result.stderr.splitlines()) == 1
