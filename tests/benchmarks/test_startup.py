import json
import os
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(
    __file__).resolve().parents[2] / 'benchmarks' / 'startup.py'


def test_run(tmp_path, write_mnist):
    write_mnist(tmp_path / 'mnist', n_train=200)
    out = tmp_path / 'results.json'
    result = subprocess.run(
        [sys.executable, '-W', 'error', SCRIPT, '--rounds', '1', '--out', out,
         '--data-dir', tmp_path / 'mnist'],
        capture_output=True, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert result.returncode == 0, result.stderr
    found = json.loads(out.read_text())
    # One start of each: either may be the slower one where others compute.
    assert found['medians'].keys() == {'bare', 'script'}
    assert min(found['medians'].values()) > 0
    assert '%.2f s more' % (
        found['medians']['script'] - found['medians']['bare']) in result.stdout
