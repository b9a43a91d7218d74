"""A short run of each series, and its figure."""
import json
import pathlib
import subprocess
import sys

import PIL.Image

SCRIPT = pathlib.Path(
    __file__).resolve().parents[2] / 'benchmarks' / 'scaling.py'


def test_run(tmp_path):
    result = subprocess.run(
        [sys.executable, '-W', 'error', SCRIPT, '--unit', '8', '--batchsize',
         '10', '--images', '60', '--threads', '1', '--over-unit', '4', '8',
         '--over-batchsize', '100', '--over-threads', '--rounds', '1',
         '--seconds', '0.001', '--out', tmp_path / 'results.json',
         '--figure', tmp_path / 'figure.png'],
        capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / 'results.json').read_text())
    units, batches = found['series']['unit'], found['series']['batchsize']
    assert [one['unit'] for one in units] == [4, 8]
    assert {one['batchsize'] for one in units} == {10}
    assert [(one['unit'], one['batchsize']) for one in batches] == [(8, 100)]
    assert found['series']['threads'] == []
    for one in units + batches:
        assert one['seconds'] > 0 and one['floor_seconds'] > 0
        assert '| %.2f |' % (1e3 * one['floor_seconds']) in ' '.join(
            result.stdout.split())
    assert 'units of a hidden layer' in result.stdout
    assert found['machine']['chainer']
    assert found['machine']['cores_used_by_others'] >= 0
    with PIL.Image.open(tmp_path / 'figure.png') as image:
        assert image.width > 900
