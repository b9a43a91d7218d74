import os
import pathlib
import shutil
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(
    __file__).resolve().parents[2] / 'benchmarks' / 'c_inference.py'


@pytest.mark.skipif(not (shutil.which('gcc') and shutil.which('make')),
                    reason='gcc or make not installed')
def test_run(trained):
    result = subprocess.run(
        [sys.executable, '-W', 'error', SCRIPT, trained.out / 'mlp.model'],
        capture_output=True, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert result.returncode == 0, result.stderr
    rows = [line for line in result.stdout.splitlines()
            if line.startswith('gcc')]
    assert len(rows) == 6 and sum(' 0 of ' in row for row in rows) == 4
