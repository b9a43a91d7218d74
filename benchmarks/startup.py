#!/usr/bin/env python3
"""Seconds from the start to the first iteration's and prediction's end.

    benchmarks/startup.py
    benchmarks/startup.py --rounds 1

Of ./train_mnist.py, beside a bare import of Chainer and the same data, loaded;
and of a program that loads a packed net, beside a bare import of NumPy.  A
first start of each, which does not count, compiles the kernels and fills the
disk's cache.
"""
import functools
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

PREDICTION = '''
import numpy
from bnn import deploy
deploy.load('models/best.bnn').predict(numpy.zeros((1, 28, 28), 'uint8'))
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
    for end, codes in (
            ('iteration', {'./train_mnist.py': SCRIPT,
                           'import chainer, and the data': BARE}),
            ('prediction', {'models/best.bnn, one image': PREDICTION,
                            'import numpy': 'import numpy'})):
        starts = {name: functools.partial(start, code, args.dataset)
                  for name, code in codes.items()}
        for one in starts.values():
            one()
        seconds = timing.take_turns(starts, args.rounds)
        ours, bare = map(statistics.median, seconds.values())
        timing.report(args, f'From the start to the end of the first {end}', [
            timing.table(['', 's', *timing.HEADER], [
                [name, *cells]
                for name, cells in timing.rows(seconds, 1).items()]),
            f'{ours - bare:.2f} s more than {list(codes)[1]}.'],
            timing.cores())


if __name__ == '__main__':
    main()
