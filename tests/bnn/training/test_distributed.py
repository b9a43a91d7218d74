"""Runs of two ranks against one process."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import types

import chainer
import numpy
import pytest

from bnn import errors
from bnn.training.learning import batches as data_module
from bnn.training import distributed
from bnn.training import multi_node_bn
from bnn.training.ranks import launcher

WORKER = pathlib.Path(__file__).with_name('ranks_worker.py')
ROOT = WORKER.parents[3]
MPIEXEC = pathlib.Path(sys.executable).with_name('mpiexec')

needs_mpi = pytest.mark.skipif(
    importlib.util.find_spec('mpi4py') is None,
    reason='no mpi4py: pip install -r requirements-distributed.txt')


@pytest.fixture
def run(tmp_path):
    """A function that runs the worker on n ranks, or alone for n = 0."""
    (tmp_path / 'out').mkdir()

    def run(n, *arguments, status=0, **env):
        words = [sys.executable, '-W', 'error', WORKER, *arguments]
        if n:
            words = [MPIEXEC, '-n', n, *words]
        else:
            env['ALONE'] = '1'
        result = subprocess.run(
            [str(word) for word in words], cwd=tmp_path, text=True,
            capture_output=True, timeout=300, check=False,
            env={**os.environ, 'PYTHONPATH': str(ROOT), **env,
                 'OMP_NUM_THREADS': '1'})
        assert result.returncode == status, result
        return result

    return run


@pytest.fixture
def state(run, tmp_path):
    """A function that trains and returns the snapshot."""
    def state(n, *arguments):
        run(n, 'train', *arguments)
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


@needs_mpi
class TestTraining:

    def test_equals_one_process(self, state, tmp_path):
        two = state(2, 5)
        log = json.loads((tmp_path / 'out/log-0').read_text())
        other = json.loads((tmp_path / 'out/log-1').read_text())
        one = state(0, 5)
        expected = json.loads((tmp_path / 'out/log-alone').read_text())
        assert_same(two, one)
        assert len(log) == 2
        for entry in *log, *other, *expected:
            del entry['elapsed_time']
        assert log == other
        for ours, theirs in zip(log, expected, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-10)
        assert abs(one['updater/model:main/predictor/l1/W']).max() == 0.1

    def test_first_update_counts(self, state):
        start, first, expected = state(2, 0), state(2, 1), state(0, 1)
        name = 'updater/model:main/predictor/l1/W'
        assert (start[name] != first[name]).mean() > 0.9
        assert first['updater/optimizer:main/t'] == 1
        assert_same(first, expected)

    def test_goes_on_with_other_ranks(self, state, tmp_path):
        expected = state(0, 7)
        for before, after in (2, 0), (0, 2), (2, 4):
            # Within an epoch, with half of its means added
            state(before, 4)
            os.replace(tmp_path / 'out/state', tmp_path / 'half')
            assert_same(state(after, 7, 'half'), expected)

    def test_means_go_on_with_three_ranks(self, run):
        run(3, 'means')

    def test_averages_any_memory_layout(self, run):
        run(2, 'average')


@needs_mpi
class TestEvaluation:

    @pytest.mark.parametrize('n', [1, 23])
    def test_equals_one_process(self, run, n):
        two, one = (
            [float(word) for word in run(ranks, 'evaluate', n).stdout.split()]
            for ranks in (2, 0))
        assert two == pytest.approx(one, rel=1e-13)


@needs_mpi
class TestBrokenImages:

    @pytest.fixture
    def write(self, write_pictures, tmp_path):
        """A function that writes pictures, n of each part broken."""
        def write(n):
            write_pictures(tmp_path / 'data', n_train=20, n_val=20)
            for part in 'train', 'val':
                paths = sorted((tmp_path / 'data' / part).rglob('*.jpg'))
                for path in paths[::len(paths) // n][:n]:
                    path.write_bytes(b'torn')
        return write

    # Ten of such a small part may be broken.
    @pytest.mark.parametrize('part', ['train', 'test'])
    def test_are_counted_once(self, run, write, tmp_path, part):
        write(10)
        result = run(2, 'broken', 'data', part, XDG_CACHE_HOME=str(tmp_path))
        assert result.stdout == '10\n'
        lines = result.stderr.splitlines()
        assert len(set(lines)) == len(lines) == 10
        assert all(line.startswith('warning: left out ') for line in lines)

    @pytest.mark.parametrize('part', ['train', 'test'])
    def test_too_many_of_all_ranks(self, run, write, tmp_path, part):
        write(11)
        result = run(2, 'broken', 'data', part, status=1,
                     XDG_CACHE_HOME=str(tmp_path))
        assert 'error: 11 of the 40 pictures in ' in result.stderr
        assert 'where 10 may be' in result.stderr


@needs_mpi
class TestEnd:

    def test_all_fail(self, run):
        result = run(2, 'fail', 'error', 'all', status=1)
        assert result.stderr == 'worker: error: no space left\n'

    @pytest.mark.parametrize('rank,prefix', [(0, ''), (1, 'rank 1: ')])
    def test_one_fails(self, run, rank, prefix):
        result = run(2, 'fail', 'error', rank, status=1)
        assert prefix + 'worker: error: no space left\n' in result.stderr
        assert result.stderr.count('no space left') == 1

    def test_one_has_a_bug(self, run):
        result = run(2, 'fail', 'bug', 1, status=1)
        assert 'rank 1: Traceback' in result.stderr
        assert 'ZeroDivisionError: a bug' in result.stderr

    def test_one_is_killed(self, run):
        result = run(2, 'fail', 'kill', 1, status=9)
        assert 'Killed' in result.stdout + result.stderr

    def test_signal_stops_all_at_once(self, run):
        signal, iterations = run(
            2, 'stop', status=143).stdout.split(maxsplit=1)
        assert signal == '15'
        assert iterations.strip() == '[20, 20]'


@needs_mpi
class TestStart:

    def test_outside_mpiexec(self, run, tmp_path):
        result = subprocess.run(
            [sys.executable, WORKER, 'same'], text=True, check=False,
            env={**os.environ, 'PYTHONPATH': str(ROOT)}, cwd=tmp_path,
            capture_output=True)
        assert result.returncode == 1
        assert result.stderr == (
            'worker: error: --distributed runs under mpiexec: '
            'mpiexec -n 2 %s same\n' % WORKER)

    def test_one_rank(self, run):
        result = run(1, 'same')
        assert result.stderr == ''

    def test_rank_0_is_followed(self, run):
        result = run(2, 'same', status=1)
        assert result.stderr == (
            'worker: error: rank 0 and rank 1 have different data: '
            '0 and 1\n')

    def test_mpiexec_of_another_mpi(self, tmp_path):
        result = subprocess.run(
            [sys.executable, WORKER, 'same'], text=True, check=False,
            env={**os.environ, 'PYTHONPATH': str(ROOT),
                 'OMPI_COMM_WORLD_RANK': '0', 'OMPI_COMM_WORLD_SIZE': '2'},
            cwd=tmp_path, capture_output=True)
        assert result.returncode == 1
        assert 'mpiexec started 2 processes' in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_needs_mpi4py(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mpi4py', None)
    with pytest.raises(errors.UserError, match=(
            'pip install -r requirements-distributed.txt')):
        launcher.communicator()


@pytest.mark.parametrize('name', ['flat', 'pure_nccl'])
def test_needs_gpu(name):
    with pytest.raises(errors.UserError, match=name + ' needs a GPU'):
        launcher.communicator(name)


def test_gpu_of():
    comm = types.SimpleNamespace(intra_rank=2)
    assert launcher.gpu_of(comm, 1) == 3
    assert launcher.gpu_of(comm, -1) == -1


def test_check_alone(monkeypatch):
    for name in 'PMI_SIZE', 'OMPI_COMM_WORLD_SIZE':
        monkeypatch.delenv(name, raising=False)
    launcher.check_alone()
    monkeypatch.setenv('PMI_SIZE', '1')
    launcher.check_alone()
    monkeypatch.setenv('PMI_SIZE', '4')
    with pytest.raises(errors.UserError, match='4 times.*--distributed'):
        launcher.check_alone()


def test_batchsize_of_rank():
    assert distributed.batchsize_of_rank(100, 4, 'file') == 25
    with pytest.raises(errors.UserError, match='file .* 100 .* 3 ranks'):
        distributed.batchsize_of_rank(100, 3, 'file')


def test_ranks_share_batches():
    batches = []
    for rank in range(3):
        numpy.random.seed(0)
        iterator = data_module.Indices(range(10), 6)
        iterator.share = slice(rank, None, 3)
        batches.append([next(iterator) for _ in range(3)])
        assert iterator.epoch == 1
        assert iterator.current_position == 8
        assert iterator.epoch_detail == 1.8
        assert not iterator.is_new_epoch
    numpy.random.seed(0)
    whole = chainer.iterators.SerialIterator(range(10), 6)
    for parts in zip(*batches, strict=True):
        batch = next(whole)
        assert [example for examples in zip(*parts, strict=True)
                for example in examples] == batch


def test_refuses_lazy_parameters():
    model = chainer.links.Linear(3)
    optimizer = chainer.optimizers.SGD().setup(model)
    with pytest.raises(ValueError, match='/W is not initialized'):
        distributed.optimizer(optimizer, None)


def test_synchronize_keeps_what_there_is():
    model = chainer.Sequential(
        chainer.links.BatchNormalization(3, eps=1e-4, use_gamma=False))
    link = model[0]
    before = dict(vars(link))
    multi_node_bn.synchronize(model, 'comm')
    assert isinstance(link, chainer.links.BatchNormalization)
    after = dict(vars(link))
    assert after.pop('comm') == 'comm'
    assert all(after[name] is before[name] for name in before)
    assert after.keys() == before.keys()
