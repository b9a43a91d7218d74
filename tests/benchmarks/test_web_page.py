"""A short run over a small net's page."""
import json
import pathlib
import shutil
import subprocess
import sys

import numpy
import pytest

from bnn import data as datasets
from bnn.deploy import file_format
from bnn.deploy import operations
from bnn.deploy import pack
from bnn.deploy import tracing
from net import BinaryMLP

SCRIPT = pathlib.Path(
    __file__).resolve().parents[2] / 'benchmarks' / 'web_page.py'


def run(*options):
    return subprocess.run(
        [sys.executable, SCRIPT, '--dataset', 'digits', *options],
        capture_output=True, text=True, timeout=300)


@pytest.fixture
def net(tmp_path):
    path = tmp_path / 'net.bnn'
    path.write_bytes(file_format.dump(pack.pack(
        tracing.trace(BinaryMLP(9), numpy.zeros((1, 784), 'f')),
        datasets.SHAPES['digits'],
        operations.Rescale(kind='unit', mean=(), std=()), '0123456789')))
    return path


@pytest.mark.skipif(not (shutil.which('chromium') and shutil.which(
    'chromedriver')), reason='no chromium and chromedriver: on Debian and '
    'Ubuntu apt install chromium chromium-driver')
def test_page(net, tmp_path):
    pytest.importorskip('selenium')
    result = run(net, '--images', '5', '--rounds', '2', '--out',
                 tmp_path / 'results.json')
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / 'results.json').read_text())['net.bnn']
    assert found['differ'] == 0 and len(found['microseconds']) == 2
    assert found['bytes'] > net.stat().st_size
    assert '{:,}'.format(found['bytes']) in result.stdout
    assert '0 of 5' in result.stdout


def test_bad_input(tmp_path):
    path = tmp_path / 'torn.bnn'
    path.write_bytes(b'torn')
    result = run(path)
    assert result.returncode == 2
    assert 'torn.bnn' in result.stderr.splitlines()[-1]
    assert 'Traceback' not in result.stderr
