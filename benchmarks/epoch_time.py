#!/usr/bin/env python3
"""Seconds per epoch of ./train_mnist.py, evaluation and log line included.

Runs the script as a user would and reads the times from its log.  Options
after -- go to the script:

    benchmarks/epoch_time.py --epoch 5 -- --gpu 0
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

from bnn import machine


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--epoch', type=int, default=5, metavar='N',
                        help='epochs to time, beside a first one to warm up')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'epoch_time.json'))
    parser.add_argument('options', nargs='*',
                        help='options of train_mnist.py, after --')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            [sys.executable, os.path.join(ROOT, 'train_mnist.py'),
             '--epoch', str(args.epoch + 1), '--no-plot', '--out', out,
             *args.options], check=True)
        with open(os.path.join(out, 'log')) as f:
            log = json.load(f)
    ends = [entry['elapsed_time'] for entry in log]
    seconds = [b - a for a, b in zip(ends, ends[1:], strict=False)]
    result = {'seconds_per_epoch': statistics.median(seconds),
              'epochs': seconds, 'options': args.options,
              'machine': machine.describe()}
    with open(args.out, 'w') as f:
        json.dump(result, f, indent=1)
        f.write('\n')
    print('median of %d epochs: %.2f s (%.2f to %.2f)' % (
        len(seconds), statistics.median(seconds), min(seconds),
        max(seconds)))


if __name__ == '__main__':
    main()
