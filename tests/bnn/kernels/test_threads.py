"""Threads and machine code of the kernels, each in a process of its own."""
import os
import pathlib
import shutil
import subprocess
import sys

import numba
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SMALL, LARGE = 'numpy.ones(9, "f")', 'numpy.ones(1 << 18, "f")'
HITS = '; print(sum(elementwise._binarize._%s.stats.cache_hits.values()))'


def run(code, cwd=ROOT, **env):
    result = subprocess.run(
        [sys.executable, '-W', 'error', '-c',
         'import numpy; from bnn.kernels import elementwise, threads; '
         + code],
        cwd=cwd, capture_output=True, text=True, timeout=300, env={
            **{name: value for name, value in os.environ.items()
               if not name.startswith(('OMP_', 'GOMP_', 'KMP_', 'OPENBLAS_'))
               and name != 'NUMBA_NUM_THREADS'},
            **env})
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout.split()


# Functions whose additions the compiler orders, in float32 and 64
SUMS = '''
import hashlib
from bnn.kernels import batch_norm, convolution, dorefa
from bnn.kernels import scaled_signs, shifted_activations

digest = hashlib.sha256()
for dtype in 'fd':
    for size in ((8, 8), (5, 9), (16, 16)):
        numpy.random.seed(0)
        x, gy = numpy.random.standard_normal((2, 4, 5, *size)).astype(dtype)
        gamma, beta = numpy.random.standard_normal((2, 5)).astype(dtype)
        _, mean, var, inv_std = batch_norm.batch_norm(x, gamma, beta, 1e-4)
        found = [
            mean, var,
            *batch_norm.batch_norm_gradient(x, gy, gamma, mean, inv_std),
            *batch_norm.normalized_signs_gradient(
                x, gy, gamma, beta, mean, inv_std),
            *shifted_activations.shifted_signs_gradient(
                x, gamma, gy, 'ste'),
            *shifted_activations.rprelu_gradient(x, gamma, beta, gy),
            dorefa.dorefa_gradient(numpy.tanh(x), gy),
            scaled_signs.scaled_binarize_gradient(x, gy)]
        if dtype == 'f':
            found += convolution.filter_gradient(
                x, gy, (1, 1), (1, 1), (1, 1), (3, 3))
        for array in found:
            digest.update(array.tobytes())
print(digest.hexdigest())
'''


@pytest.mark.slow
def test_first_run_computes_as_the_next(tmp_path):
    """New machine code orders additions as that which was kept."""
    env = {'NUMBA_CACHE_DIR': str(tmp_path / 'cache')}
    first, next_ = (run(SUMS, **env) for _ in range(2))
    assert first == next_


@pytest.mark.slow
def test_machine_code_is_kept(tmp_path):
    env = {'NUMBA_CACHE_DIR': str(tmp_path / 'cache')}
    for kind, x, total in (('alone', SMALL, '9.0'),
                           ('together', LARGE, '262144.0')):
        code = f'print(elementwise.binarize({x}).sum())' + HITS % kind
        assert [run(code, **env) for _ in range(2)] == [
            [total, '0'], [total, '1']]


@pytest.mark.slow
def test_machine_code_of_another_version(tmp_path):
    """A change of any file counts: a kernel is made of several."""
    shutil.copytree(ROOT / 'bnn', tmp_path / 'bnn', ignore=(
        shutil.ignore_patterns('__pycache__')))
    code = f'elementwise.binarize({SMALL})' + HITS % 'alone'
    hits = [run(code, tmp_path) for _ in range(2)]
    with open(tmp_path / 'bnn' / 'kernels' / 'tiles.py', 'a') as f:
        f.write('# another version\n')
    assert [*hits, run(code, tmp_path)] == [['0'], ['1'], ['0']]


def test_no_folder_for_machine_code():
    assert run(f'print(elementwise.binarize({LARGE}).sum())',
               NUMBA_CACHE_DIR='/dev/null/cache') == ['262144.0']


def test_number_of_threads():
    for env, expected in (
            ({}, numba.config.NUMBA_DEFAULT_NUM_THREADS),
            ({'OMP_NUM_THREADS': '1'}, 1), ({'NUMBA_NUM_THREADS': '1'}, 1),
            ({'OMP_NUM_THREADS': '1', 'NUMBA_NUM_THREADS': '2'}, 2)):
        assert run('print(threads.n_threads(1 << 30), threads.n_threads(9))',
                   **env) == [str(expected), '1']


def test_how_threads_wait():
    for env, expected in (
            ({}, ['0', '0']),
            ({'OPENBLAS_THREAD_TIMEOUT': '16'}, ['10000', '0']),
            ({'GOMP_SPINCOUNT': '7'}, ['7', '0']),
            ({'OMP_WAIT_POLICY': 'ACTIVE'}, ['None', 'None'])):
        assert run('import os; print(*map(os.environ.get, ('
                   '"GOMP_SPINCOUNT", "KMP_BLOCKTIME")))', **env) == expected
