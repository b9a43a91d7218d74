#!/usr/bin/env python3
"""Seconds of an epoch, test and log line included, and peak memory.

    benchmarks/epoch_time.py
    benchmarks/epoch_time.py --command './train.py lenet5'
    benchmarks/epoch_time.py --command './train_mnist.py --gpu=0'
    benchmarks/epoch_time.py --against DIR     another checkout, in turns
    benchmarks/epoch_time.py --against DIR --command './train.py lenet5' \\
        --command-there './train_mnist.py --net lenet5'
    benchmarks/epoch_time.py --ranks 2         processes of one machine

A turn is a whole run, as a user starts it; the times are those of its log,
without the first epoch.  With --ranks the batch of all ranks together has 100
images.
"""
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

import timing

BATCH = 100


class Run:
    """Runs of a training script, as turns.

    Args:
        root: The checkout.
        command: The script with its options, run from there.
        epochs: Epochs to time, after a first one.
        threads: Threads of each process.
        ranks: Processes.

    Attributes:
        peak (int): Bytes of memory at most; of several ranks unknown, 0.
    """

    def __init__(self, root: str, command: str, epochs: int, threads: int,
                 ranks: int = 1) -> None:
        script, *options = shlex.split(command)
        self._words = [sys.executable, os.path.join(root, script), *options,
                       '--epoch', str(epochs + 1), '--no-plot']
        if ranks > 1:
            mpiexec = os.path.join(os.path.dirname(sys.executable), 'mpiexec')
            self._words = [mpiexec, '-n', str(ranks), *self._words]
        self._root, self._ranks, self._threads = root, ranks, threads
        self.peak = 0

    def __call__(self) -> float:
        """Returns the seconds of an epoch, the median of those of a run."""
        with tempfile.TemporaryDirectory() as out:
            # Not subprocess.run: the memory of this child alone is asked for.
            process = subprocess.Popen(
                [*self._words, '--out', out], cwd=self._root,
                env=timing.environment(self._threads), stdout=sys.stderr)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f'{shlex.join(self._words)} ended, status '
                         f'{process.returncode}')
            with open(os.path.join(out, 'log')) as f:
                ends = [entry['elapsed_time'] for entry in json.load(f)]
        if self._ranks == 1:
            self.peak = max(self.peak, used.ru_maxrss * (
                1 if sys.platform == 'darwin' else 1024))
        return statistics.median(
            b - a for a, b in zip(ends, ends[1:], strict=False))


def main():
    parser = timing.parser(__doc__, rounds=3)
    parser.add_argument('--epoch', type=timing.positive, default=3,
                        metavar='N', help='epochs of a run to time, after a '
                        'first one (default: 3)')
    parser.add_argument('--threads', type=timing.positive,
                        default=timing.cores(), metavar='N',
                        help='of each run (default: the cores)')
    parser.add_argument('--command', metavar='WORDS',
                        help='what to run (default: ./train_mnist.py)')
    parser.add_argument('--against', metavar='DIR', help='another checkout')
    parser.add_argument('--command-there', metavar='WORDS',
                        help='what to run there (default: the same)')
    parser.add_argument('--ranks', type=timing.positive, metavar='N', help=(
        'time ranks, of ./train.py binary_net by default'))
    args = parser.parse_args()
    command = args.command or (
        './train.py binary_net' if args.ranks else './train_mnist.py')
    if args.ranks:
        ranks = f'{command} --distributed --batchsize {BATCH // args.ranks}'
        runs = {
            'one process, one thread': Run(
                timing.ROOT, command, args.epoch, 1),
            f'one process, {args.ranks} threads': Run(
                timing.ROOT, command, args.epoch, args.ranks),
            **{f'{args.ranks} ranks, one thread each{more}': Run(
                timing.ROOT, ranks + more, args.epoch, 1, ranks=args.ranks)
               for more in ('', ' --multi-node-bn')}}
        threads = args.ranks
    else:
        runs = {command: Run(
            timing.ROOT, command, args.epoch, args.threads)}
        if args.against:
            there = args.command_there or command
            runs[f'before: {there}'] = Run(
                os.path.abspath(args.against), there, args.epoch,
                args.threads)
        threads = args.threads
    seconds = timing.take_turns(runs, args.rounds)
    timing.report(args, f'An epoch of {command}' + (
        f' on {args.ranks} ranks' if args.ranks else ''), [
            timing.table(['', 's', *timing.HEADER, 'peak MB'], [
                [name, *cells, f'{runs[name].peak / 1e6:.0f}'
                 if runs[name].peak else '-']
                for name, cells in timing.rows(seconds, 1, 2).items()])],
        threads)


if __name__ == '__main__':
    main()
