#!/usr/bin/env python3
"""Time epochs of train_mnist.py on one process and on ranks of this machine.

The batch of all ranks is the same, and so is the work.  The speed-up is the
time of one process with one thread by that of the ranks, with a thread each;
the overhead is what the ranks need beyond their share of that time.
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

BATCH = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--ranks', type=int, default=2, metavar='N')
    parser.add_argument('--epoch', type=int, default=3, metavar='N',
                        help='epochs to time, beside a first one to warm up')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'distributed_speed.json'))
    parser.add_argument('options', nargs='*',
                        help='options of train_mnist.py, after --')
    args = parser.parse_args()
    ranks = ['--distributed', '--batchsize', str(BATCH // args.ranks)]
    ways = {
        'one process, one thread': (1, 1, []),
        'one process, %d threads' % args.ranks: (1, args.ranks, []),
        '%d ranks, a thread each' % args.ranks: (args.ranks, 1, ranks),
        '%d ranks, --multi-node-bn' % args.ranks: (
            args.ranks, 1, [*ranks, '--multi-node-bn'])}
    seconds = {name: time_epochs(*way, args) for name, way in ways.items()}
    alone = seconds['one process, one thread']
    print('%-28s %10s %10s %10s' % ('', 's/epoch', 'speed-up', 'overhead'))
    for name, value in seconds.items():
        print('%-28s %10.2f %10.2f %9.2fs' % (
            name, value, alone / value, value - alone / args.ranks
            if name != 'one process, one thread' else 0))
    with open(args.out, 'w') as f:
        json.dump({'seconds_per_epoch': seconds, 'epochs': args.epoch,
                   'options': args.options, 'machine': machine.describe()},
                  f, indent=1)
        f.write('\n')


def time_epochs(n_ranks, n_threads, options, args):
    """Returns the median time of an epoch, seconds."""
    command = [sys.executable, os.path.join(ROOT, 'train_mnist.py')]
    if n_ranks > 1:
        command = [os.path.join(os.path.dirname(sys.executable), 'mpiexec'),
                   '-n', str(n_ranks), *command]
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            [*command, '--epoch', str(args.epoch + 1), '--no-plot',
             '--report', 'quiet', '--out', out, *options, *args.options],
            check=True, stderr=subprocess.DEVNULL,
            env={**os.environ, 'OMP_NUM_THREADS': str(n_threads)})
        with open(os.path.join(out, 'log')) as f:
            ends = [entry['elapsed_time'] for entry in json.load(f)]
    return statistics.median(
        b - a for a, b in zip(ends, ends[1:], strict=False))


if __name__ == '__main__':
    main()
