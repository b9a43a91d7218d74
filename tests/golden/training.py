"""Runs of the training scripts, each in a process and a folder of its own."""
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

import numpy

from tests.golden import project
from tests.helpers import made_data

_RECORD = pathlib.Path(__file__).with_name('record.py')
_CIFAR10_SEED = 0


def run(folder, script, *options):
    """Runs a script to its end, with one thread, without data or network.

    Args:
        folder (pathlib.Path): Where it runs; its results are in ``out``.
        script (str): The script, from the root of the project.
        options: Its options.

    Returns:
        dict: ``losses`` of its first iterations, its ``log``, entry by
        entry, without the times, and the lines of ``stdout``.
    """
    if 'cifar10' in options:
        made_data.write_cifar10(folder / 'cifar10', seed=_CIFAR10_SEED)
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1',
           'COLUMNS': '80', 'CHAINER_DATASET_ROOT': str(folder / 'no-data')}
    done = subprocess.run(
        [sys.executable, '-W', 'error', str(_RECORD), 'losses.json',
         str(project.ROOT / script), *map(str, options), '--out', 'out'],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True,
        text=True)
    if done.returncode:
        raise RuntimeError(f'{script} failed:\n{done.stderr}')
    log = json.loads((folder / 'out' / 'log').read_text())
    for entry in log:
        del entry['elapsed_time']
    return {'losses': json.loads((folder / 'losses.json').read_text()),
            'log': log, 'stdout': done.stdout.splitlines()}


def machine():
    """Returns what the floats may depend on."""
    lscpu = subprocess.run(['lscpu'], capture_output=True, text=True).stdout
    models = [line.split(':', 1)[1].strip() for line in lscpu.splitlines()
              if line.startswith('Model name:')]
    return {'processor': models[0] if models else 'unknown',
            'numpy': numpy.__version__, 'python': platform.python_version()}


def masked(line):
    """Returns a line of standard output without its numbers."""
    return re.sub(r'=[^,]+', '=#', line)
