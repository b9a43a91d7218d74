"""A short run over every kernel."""
import inspect
import json
import pathlib
import subprocess
import sys

from bnn import kernels
from bnn.kernels import amx

SCRIPT = pathlib.Path(
    __file__).resolve().parents[2] / 'benchmarks' / 'kernels.py'
OURS = {name for name, function in vars(kernels).items()
        if inspect.isfunction(function) and not name.startswith('_')}


def run(*options):
    return subprocess.run(
        [sys.executable, '-W', 'error', SCRIPT, '--rounds', '1',
         '--peak-elements', '1000', '--threads', '1', *options],
        capture_output=True, text=True)


def test_every_kernel(tmp_path):
    result = run('--sizes', 'small', '--out', tmp_path / 'results.json')
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / 'results.json').read_text())
    assert found['not_measured'] == []
    assert 'not measured' not in result.stdout
    assert {one['kernel'] for one in found['results']} == OURS | {
        'pack x + xnor_product'}
    for one in found['results']:
        ways = {'ours', 'numpy'}
        if 'xnor' not in one['kernel'] and one['kernel'] not in (
                    'arrange', 'signs'):
            ways.add('reference')
        assert set(one['seconds']) == ways
        assert one['per_second'] > 0 and one['of_peak'] > 0
        row, = (line for line in result.stdout.splitlines()
                if line[1:].split('|')[0].strip() == one['kernel'])
        assert '%.3f' % (1e3 * one['seconds']['ours']) in row
    for name in 'xnor_product', 'sign_product', 'pack x + xnor_product':
        one, = (one for one in found['results'] if one['kernel'] == name)
        assert 'BLAS / %s, small: %.1f\n' % (
            name, one['seconds']['numpy'] / one['seconds']['ours']
        ) in result.stdout
    assert 'Chainer / sign_convolution, small: ' in result.stdout
    assert all(value > 0 for value in found['peaks'].values())
    assert found['machine']['threads'] == 1


def test_rule(tmp_path):
    result = run('--only', 'rule', '--sizes', 'small', '--out',
                 tmp_path / 'results.json')
    assert result.returncode == 0, result.stderr
    rule = json.loads((tmp_path / 'results.json').read_text())['rule']
    assert [one['rows'] for one in rule] == [1, 2, 4, 8, 16, 64, 100, 1000]
    assert [one['is_packed'] for one in rule] == 5 * [False] + 3 * [True]
    ways = ['packed'] + ['unit'] * amx.IS_AVAILABLE
    for one in rule:
        assert set(one['seconds']) == {'blas', *ways}
        assert not one['is_tiled']  # too small
        rows = [line for line in result.stdout.splitlines()
                if line.startswith('| 64 | %4d ' % one['rows'])]
        assert len(rows) == len(ways)  # a table for each
        assert ('packed |' in rows[0]) == one['is_packed']


def test_only(tmp_path):
    result = run('--only', 'clip', '--sizes', 'small', '--out',
                 tmp_path / 'results.json')
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / 'results.json').read_text())
    assert [one['kernel'] for one in found['results']] == ['clip']
    assert found['rule'] == []


def test_idle_threads_of_the_blas_sleep(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import timing
    ways = {'OMP_WAIT_POLICY': 'ACTIVE', 'GOMP_SPINCOUNT': '9',
            'KMP_BLOCKTIME': '9'}
    environ = {'OPENBLAS_THREAD_TIMEOUT': '28', **ways}
    timing.use_threads(environ, 2)
    assert environ['OPENBLAS_THREAD_TIMEOUT'] == '16'
    assert environ['OPENBLAS_NUM_THREADS'] == '2'
    assert not ways.keys() & environ


def test_unknown():
    result = run('--only', 'clip', 'none')
    assert result.returncode == 2
    assert 'error: no kernel none; there are: arrange' in result.stderr
