#!/usr/bin/env python3
"""Time of a training iteration, beside other programs and the floor.

    benchmarks/train_step.py                             ./train_mnist.py
    benchmarks/train_step.py lenet5 -- --batchsize 64    ./train.py lenet5 ...
    benchmarks/train_step.py --torch-python FILE         PyTorch beside it

Whole iterations of the script on made-up images; of binary_net's arithmetic
on plain Chainer functions; of PyTorch, eager and with bfloat16 autocast.  The
floor is the float32 matrix products of the net by the BLAS, and one pass over
the arrays of the optimizer.  A second table tells where our time goes.
Options behind -- go to the script.
"""
import json
import math
import statistics
import sys

import timing

PEERS = {'plain Chainer': ('plain_chainer.py',),
         'PyTorch, eager': ('torch_step.py', 'eager'),
         'PyTorch, bfloat16 autocast': ('torch_step.py', 'bfloat16')}
FLOORS = {'floor: matrix products': ('floors.py', 'products'),
          'floor: optimizer memory': ('floors.py', 'memory')}
OURS, PARTS = 'ours', 'with clocks'
# Bytes of the made-up images, at most
_MOST = 1 << 28


def make_task(config: str, options: list) -> dict:
    """Returns what the peers are told, as JSON.

    Args:
        config: Name of a configuration.
        options: Options of the script.
    """
    from bnn import data
    from bnn.training.command_line import parser
    from bnn.training.command_line import script
    from configs import find
    found = parser.parse(
        find.get(config), script.Parser(__doc__), argv=options)
    shape = data.SHAPES[found.dataset]
    n = min(60000, _MOST // math.prod(shape))
    return {
        'config': config, 'options': options, 'net': found.net,
        'unit': found.unit, 'layers': found.layers,
        'batchsize': found.batchsize, 'dataset': found.dataset,
        'shape': shape, 'classes': 1000 if found.dataset == 'imagenet' else 10,
        # An epoch has several iterations; its last one does not count.
        'images': max(n, 4 * found.batchsize), 'parts': False}


def measure(task: dict, args, peers: dict) -> tuple:
    """Lets our training, peers and the floors take turns.

    Args:
        task: Of :func:`make_task`.
        args: With ``threads``, ``seconds``, ``rounds``.
        peers: Names to scripts with their first words; those of PyTorch run
            in ``args.torch_python``.

    Returns:
        What :func:`timing.take_turns` does, with the sums of the floors, and
        the :class:`timing.Peer` of each.
    """
    started = {}
    for name, (script, *words) in {
            OURS: ('ours.py',), **peers, **FLOORS}.items():
        told = {**task, 'parts': name == PARTS}
        python = {'python': args.torch_python} if 'torch' in script else {}
        started[name] = timing.Peer(script, *words, json.dumps(told),
                                    threads=args.threads, **python)
    able = {name: one for name, one in started.items() if not one.unavailable}
    for one in able.values():
        one.prepare(args.seconds)
    seconds = timing.take_turns(able, args.rounds)
    for one in started.values():
        one.close()
    seconds['floor: both'] = [
        sum(pair) for pair in zip(*map(seconds.get, FLOORS), strict=True)]
    return seconds, started


def main():
    parser = timing.parser(__doc__)
    parser.add_argument('config', nargs='?', default='binary_net',
                        help='a configuration (default: binary_net)')
    timing.add_peers(parser)
    timing.add_torch(parser)
    words = sys.argv[1:]
    n = words.index('--') if '--' in words else len(words)
    args = parser.parse_args(words[:n])
    task = make_task(args.config, words[n + 1:])
    seconds, started = measure(
        task, args, {**PEERS, PARTS: ('ours.py',)})
    with_clocks = seconds.pop(PARTS)
    missing = [f'not measured: {name}: {one.unavailable}'
               for name, one in started.items() if one.unavailable]
    replies = started[PARTS].replies
    parts = {name: statistics.median(
        reply['parts'].get(name, 0.) for reply in replies)
        for name in replies[-1]['parts']}
    total = sum(parts.values())
    rates = [started[name].facts[unit] / statistics.median(seconds[name]) / 1e9
             for name, unit in zip(
                 FLOORS, ('operations', 'bytes'), strict=True)]
    timing.report(
        args, f'An iteration of {args.config}, '
        f'batches of {task["batchsize"]}', [
            timing.table(['', 'ms', *timing.HEADER], [
                [name, *cells]
                for name, cells in timing.rows(seconds).items()]),
            *missing,
            f'The products alone do {rates[0]:.0f} Gop/s, the pass over the '
            f'memory of the optimizer {rates[1]:.0f} GB/s.',
            f'Where the time goes, with a clock around each part, which '
            f'takes {1e3 * statistics.median(with_clocks):.2f} ms:',
            timing.table(['', 'ms', 'share'], [
                [name, f'{1e3 * value:.2f}', f'{value / total:.0%}']
                for name, value in sorted(
                    parts.items(), key=lambda item: -item[1])])],
        args.threads, started['PyTorch, eager'].facts)


if __name__ == '__main__':
    from bnn.training.command_line import script
    script.run(main)
