#!/usr/bin/env python3
"""Time of a training iteration, beside other ways and the machine's limits.

Whole iterations of ./train_mnist.py; of binary_net's arithmetic on plain
Chainer functions; of PyTorch, where there is one: eager with its fused Adam,
under bfloat16 autocast, on a GPU with CUDA graphs too.  They take turns, each
a process of its own.  PyTorch may live in another environment:

    benchmarks/train_step.py --torch-python ~/torch/bin/python
    benchmarks/train_step.py --gpu 0 --iterations 200
"""
import argparse
import os
import statistics
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import timing

OURS = 'train_mnist.py'
TORCH = {'PyTorch, eager, fused Adam': 'eager',
         'PyTorch, bfloat16 autocast': 'bfloat16',
         'PyTorch, CUDA graph': 'graph'}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    timing.add_net(parser)
    parser.add_argument('--threads', type=timing.positive,
                        default=timing.cores(), metavar='N',
                        help='threads of each (default: the cores)')
    parser.add_argument('--iterations', type=timing.positive, default=20,
                        metavar='N', help='iterations in a turn')
    parser.add_argument('--rounds', type=timing.positive, default=15,
                        metavar='N', help='turns of each')
    parser.add_argument('--torch-python', default=sys.executable,
                        metavar='FILE', help='a Python that has PyTorch')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'train_step.json'))
    args = parser.parse_args()

    options = timing.net_options(args)

    def start(name, script, *more, **kwargs):
        return timing.Contender(
            name, script, *options, *more, threads=args.threads, **kwargs)

    on_gpu = args.gpu >= 0
    contenders = [
        start(OURS, 'ours.py'),
        *([start(OURS + ' --no-cuda-graph', 'ours.py', '--no-cuda-graph')]
          if on_gpu else []),
        start('plain Chainer', 'plain_chainer.py'),
        *(start(name, 'torch_mlp.py', '--way', way, python=args.torch_python)
          for name, way in TORCH.items())]
    floors = [start('floor: matrix products', 'floors.py', '--of=products'),
              start('floor: optimizer memory', 'floors.py', '--of=memory')]
    # What waits for a GPU cannot be told from outside.
    profiled = [] if on_gpu else [
        start('profiled', 'ours.py', '--profile')]
    everyone = [*contenders, *floors, *profiled]
    timing.interleave(
        [one for one in everyone if not one.unavailable],
        # A graph is captured in the third iteration.
        args.rounds, args.iterations, warmup=10 if on_gpu else 2)
    for one in everyone:
        if not one.unavailable:
            one.close()
    report(args, contenders, floors, profiled)


def report(args, contenders, floors, profiled):
    """Prints the tables and writes the results."""
    ours = contenders[0]
    floor = [sum(pair) for pair in zip(*(one.medians for one in floors))]
    ours_by_floor = statistics.median(
        a / b for a, b in zip(ours.medians, floor))
    print('%s, batch %d, %d threads%s; %d rounds of %d iterations\n' % (
        '-'.join(map(str, timing.sizes(args))), args.batchsize, args.threads,
        '' if args.gpu < 0 else ', GPU %d' % args.gpu, args.rounds,
        args.iterations))
    rows = [row(one, ours) for one in [*contenders, *floors]]
    rows.append(['floor: both', '%.2f' % (1e3 * statistics.median(floor)),
                 *_range(floor), '%.2f' % (1 / ours_by_floor),
                 '%.2f' % ours_by_floor])
    timing.print_table(['', 'median ms', 'least', 'most',
                        'by ours', 'ours by it'], rows)
    for one in contenders:
        if one.unavailable:
            print('\nnot measured: %s: %s' % (one.name, one.unavailable))
    print('\nmatrix products %.0f Gop/s, optimizer memory %.0f GB/s' % (
        floors[0].facts['operations'] / floors[0].median / 1e9,
        floors[1].facts['bytes'] / floors[1].median / 1e9))
    parts = parts_of(profiled)
    if parts:
        total = sum(parts.values())
        print('\nwhere the time of %s goes: %.2f ms with the clocks in it, '
              '%.2f without\n' % (OURS, 1e3 * total, 1e3 * ours.median))
        timing.print_table(['', 'ms', 'share'], [
            [name, '%.2f' % (1e3 * value), '%.0f %%' % (100 * value / total)]
            for name, value in parts.items()])
    else:
        print('\nnot measured: the parts, which a GPU does not tell apart')
    timing.save(args.out, {
        'settings': {name: getattr(args, name) for name in (
            'unit', 'layers', 'batchsize', 'images', 'gpu', 'threads',
            'iterations', 'rounds')},
        'contenders': {one.name: describe(one, ours) for one in contenders},
        'floors': {one.name: describe(one, ours) for one in floors},
        'ours_by_floor': ours_by_floor,
        'parts_seconds': parts}, args.threads)


def _range(medians):
    return '%.2f' % (1e3 * min(medians)), '%.2f' % (1e3 * max(medians))


def row(one, ours):
    """Returns a contender's row of the table."""
    if one.unavailable:
        return [one.name, *['-'] * 5]
    return [one.name, '%.2f' % (1e3 * one.median), *_range(one.medians),
            '%.2f' % one.ratio(ours), '%.2f' % ours.ratio(one)]


def describe(one, ours):
    """Returns a contender's results."""
    if one.unavailable:
        return {'unavailable': one.unavailable}
    return {'seconds': one.median, 'round_medians': one.medians,
            'by_ours': one.ratio(ours), 'ours_by_it': ours.ratio(one),
            **one.facts, **one.replies[-1]}


def parts_of(profiled):
    """Returns the median over the rounds of the time of each part."""
    rounds = [reply['parts'] for one in profiled for reply in one.replies]
    names = sorted({name for parts in rounds for name in parts},
                   key=lambda name: -rounds[-1].get(name, 0))
    return {name: statistics.median(
        parts.get(name, 0.) for parts in rounds) for name in names}


if __name__ == '__main__':
    main()
