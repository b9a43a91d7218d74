"""A short run over every kernel."""
import inspect
import json
import pathlib
import subprocess
import sys

from bnn import kernels

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
    measured = {one['kernel'] for one in found['results']}
    missing = set(found['not_measured'])
    assert measured | missing == OURS
    assert {'binarize', 'ste_gradient', 'clip', 'adam'} <= measured
    for name in missing:
        assert name in result.stdout.split('not measured')[1]
    for one in found['results']:
        assert set(one['seconds']) == {'ours', 'reference', 'numpy'}
        assert one['per_second'] > 0 and one['of_peak'] > 0
        row, = (line for line in result.stdout.splitlines()
                if line.startswith('| %s ' % one['kernel']))
        assert '%.3f' % (1e3 * one['seconds']['ours']) in row
    assert all(value > 0 for value in found['peaks'].values())
    assert found['machine']['threads'] == 1


def test_only(tmp_path):
    result = run('--only', 'clip', '--sizes', 'small', '--out',
                 tmp_path / 'results.json')
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / 'results.json').read_text())
    assert [one['kernel'] for one in found['results']] == ['clip']


def test_unknown():
    result = run('--only', 'clip', 'none')
    assert result.returncode == 2
    assert 'error: no kernel none; there are: binarize' in result.stderr
