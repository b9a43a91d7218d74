#!/usr/bin/env python3
"""Seconds from the start of ./train_mnist.py to its first iteration's end.

Beside it: a bare import of Chainer and the same data, loaded.  A first start
of each, which does not count, compiles the kernels and fills the disk's cache.
"""
import statistics
import subprocess
import sys
import tempfile
import time

import timing

SCRIPT = '''
import sys
import train_mnist  # first, as its environment comes before the rest
import os
from chainer import training

class Updater(training.StandardUpdater):

    def update_core(self):
        super().update_core()
        os._exit(0)

training.StandardUpdater = Updater
sys.argv[0] = 'train_mnist.py'
train_mnist.main()
sys.exit('no iteration')
'''
BARE = '''
import sys
import chainer
from bnn import data
data.load(sys.argv[2])
'''


def start(code: str, dataset: str) -> float:
    """Runs a program to its end and returns the seconds."""
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, '-c', code, '--dataset', dataset, '--out', out,
             '--no-plot'], check=True, cwd=timing.ROOT,
            env=timing.environment(timing.cores()), stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def main():
    parser = timing.parser(__doc__, rounds=5)
    parser.add_argument('--dataset', default='mnist', help='its data')
    args = parser.parse_args()
    starts = {
        './train_mnist.py': lambda: start(SCRIPT, args.dataset),
        'import chainer, and the data': lambda: start(BARE, args.dataset)}
    for one in starts.values():
        one()
    seconds = timing.take_turns(starts, args.rounds)
    ours, bare = map(statistics.median, seconds.values())
    timing.report(args, 'From the start to the end of the first iteration', [
        timing.table(['', 's', *timing.HEADER], [
            [name, *cells]
            for name, cells in timing.rows(seconds, 1).items()]),
        f'{ours - bare:.2f} s more than the import and the data.'],
        timing.cores())


if __name__ == '__main__':
    main()
