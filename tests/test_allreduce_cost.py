"""The documented costs are those that the command computes."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'benchmarks/allreduce_cost.py'


def output(*options):
    return subprocess.run(
        [sys.executable, '-W', 'error', SCRIPT, *options], check=True,
        capture_output=True, text=True).stdout


def test_documented():
    assert output() in (ROOT / 'docs/distributed.md').read_text()


def test_by_hand():
    # 7.2 MB at 1 GB/s; two GPUs exchange one half and then the other
    lines = output('--bandwidth', '1').splitlines()
    assert '1.80 million parameters, 7.2 MB' in lines[0]
    row, = (line for line in lines[:6] if line.startswith('| 2 |'))
    assert row == '| 2 | 7.20 | 0.23 |'
    row, = (line for line in output('--bandwidth', '1', '--latency', '1000')
            .splitlines()[:6] if line.startswith('| 2 |'))
    assert row == '| 2 | 9.20 | 2.23 |'
