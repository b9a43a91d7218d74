#!/usr/bin/env python3
"""Seconds per epoch of a training script, evaluation and log line included.

Runs ./train_mnist.py as a user would and reads the times from its log, and
the peak memory of the process.  With --against another checkout of this
project takes turns with it, epoch by epoch of whole runs.  Options after --
go to the script:

    benchmarks/epoch_time.py --epoch 5 -- --gpu 0
    benchmarks/epoch_time.py --against ../before -- --net lenet5
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import timing
from bnn import machine


def run(root, python, args):
    """Returns the seconds of the epochs after the first."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            [python, os.path.join(root, 'train_mnist.py'),
             '--epoch', str(args.epoch + 1), '--no-plot', '--out', out,
             *args.options], check=True)
        with open(os.path.join(out, 'log')) as f:
            log = json.load(f)
    ends = [entry['elapsed_time'] for entry in log]
    return [b - a for a, b in zip(ends, ends[1:], strict=False)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--epoch', type=int, default=5, metavar='N',
                        help='epochs to time, beside a first one to warm up')
    parser.add_argument('--rounds', type=timing.positive, default=1,
                        metavar='N', help='runs of each')
    parser.add_argument('--against', metavar='DIR',
                        help='another checkout, to compare with')
    parser.add_argument('--against-python', metavar='FILE',
                        default=sys.executable,
                        help='the Python that runs it (default: this one)')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'epoch_time.json'))
    parser.add_argument('options', nargs='*',
                        help='options of train_mnist.py, after --')
    args = parser.parse_args()
    contenders = {'ours': (ROOT, sys.executable)}
    if args.against is not None:
        contenders['against'] = args.against, args.against_python
    seconds = {name: [] for name in contenders}
    for _ in range(args.rounds):
        for name, (root, python) in contenders.items():
            seconds[name] += run(root, python, args)
    ours = statistics.median(seconds['ours'])
    result = {
        'seconds_per_epoch': ours, 'epochs': seconds['ours'],
        # The largest of all runs; of ours, if nothing ran against it
        'peak_bytes': 1024 * resource.getrusage(
            resource.RUSAGE_CHILDREN).ru_maxrss,
        'options': args.options, 'machine': machine.describe()}
    if args.against is not None:
        theirs = statistics.median(seconds['against'])
        result.update(against=seconds['against'], ratio=ours / theirs)
    with open(args.out, 'w') as f:
        json.dump(result, f, indent=1)
        f.write('\n')
    for name, values in seconds.items():
        print('%-8s median of %d epochs: %.3f s (%.3f to %.3f)' % (
            name, len(values), statistics.median(values), min(values),
            max(values)))
    if args.against is None:
        print('peak memory %.0f MB' % (result['peak_bytes'] / 1e6))
    else:
        print('ratio %.2f' % result['ratio'])


if __name__ == '__main__':
    main()
