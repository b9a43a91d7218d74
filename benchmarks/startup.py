#!/usr/bin/env python3
"""Seconds from the start of ./train_mnist.py to its first iteration.

Beside it, in turn: a bare import of Chainer and the same data, loaded.  A
first start of each, not counted, compiles the kernels and warms the disk's
cache.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import timing
from bnn import machine

_PATH = 'import os, sys; sys.path.insert(0, %r); ' % os.path.abspath(ROOT)
CODES = {
    'bare': _PATH + '''
import chainer
from bnn import data as datasets
folder = sys.argv[2:]
datasets.load("mnist", *folder, allow_modified=bool(folder))
''',
    'script': _PATH + '''
import train_mnist  # first, as its environment comes before the rest
from chainer.training import updaters

original = updaters.StandardUpdater.update_core

def update_core(self):
    original(self)
    os._exit(0)

updaters.StandardUpdater.update_core = update_core
options = ["--no-plot", "--out", sys.argv[1]]
for folder in sys.argv[2:]:
    options += ["--data-dir", folder, "--allow-modified"]
train_mnist.main(options)
''',
}


def seconds(code, *folder):
    """Runs a program in a folder of its own."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run([sys.executable, '-c', code, os.path.join(out, 'run'),
                        *folder],
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=timing.positive, default=5,
                        metavar='N')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'startup.json'))
    parser.add_argument('--data-dir', metavar='DIR',
                        help="MNIST, or files like it; default: the script's")
    args = parser.parse_args()
    folder = [] if args.data_dir is None else [args.data_dir]
    rounds = [{name: seconds(code, *folder)
               for name, code in CODES.items()}
              for _ in range(args.rounds + 1)][1:]
    medians = {name: statistics.median(r[name] for r in rounds)
               for name in CODES}
    with open(args.out, 'w') as f:
        json.dump({'rounds': rounds, 'medians': medians,
                   'machine': machine.describe()}, f, indent=1)
        f.write('\n')
    print('bare import of Chainer and data %.2f s, start to first iteration '
          '%.2f s: %.2f s more' % (
              medians['bare'], medians['script'],
              medians['script'] - medians['bare']))


if __name__ == '__main__':
    main()
