#!/usr/bin/env python3
"""Time of a training iteration, beside other programs and the floor.

    benchmarks/train_step.py                             ./train_mnist.py
    benchmarks/train_step.py lenet5 -- --batchsize 64    ./train.py lenet5 ...
    benchmarks/train_step.py --torch-python FILE         PyTorch beside it

Whole iterations of the script on made-up images, and of PyTorch in several
ways: eager and float32, with bfloat16 autocast, by torch.compile, and nets
with convolutions on channels last.  The floor is the multiply-adds of the
net at the rate of the processor's best instructions, and one pass over the
activations and the arrays of the optimizer, see peers/floors.py.  A second
table tells where our time goes.  Options behind -- go to the script.
"""
import json
import math
import statistics
import sys

import timing

FLOORS = {'floor: products': ('floors.py', 'products'),
          'floor: activation memory': ('floors.py', 'activations'),
          'floor: optimizer memory': ('floors.py', 'optimizer')}
OURS, PARTS = 'ours', 'with clocks'
EAGER, BEST, ALL = 'PyTorch, eager', 'PyTorch, best', 'floor: all'
# A way of PyTorch that takes so many times as long as EAGER has no turns.
SLOW = 4
# Bytes of the made-up images, at most
_MOST = 1 << 26


def torch_ways(convolutional: bool) -> dict:
    """Names the ways in which PyTorch trains, with the words of each peer."""
    layout = ['channels last'] * convolutional
    ways = [[], *[layout] * convolutional, *(
        layout + way for way in (
            ['bfloat16'], ['compiled'], ['compiled', 'bfloat16']))]
    return {', '.join(['PyTorch', *(way or ['eager'])]): (
        'torch_step.py', ','.join(way)) for way in ways}


def make_task(config: str, options: list) -> dict:
    """Returns what the peers are told, as JSON.

    Args:
        config: Name of a configuration.
        options: Options of the script.

    Returns:
        The settings of the configuration, and more.
    """
    from bnn import data
    from bnn.training.command_line import config as config_module
    from bnn.training.command_line import parser
    from bnn.training.command_line import script
    from configs import find
    found = parser.parse(
        find.get(config), script.Parser(__doc__), argv=options)
    shape = data.SHAPES[found.dataset]
    n = min(60000, _MOST // math.prod(shape))
    return {
        **{name: getattr(found, name) for name in config_module.SETTINGS},
        'config': config, 'options': options, 'rate': found.rate,
        'shape': shape, 'classes': 1000 if found.dataset == 'imagenet' else 10,
        'statistics': data.STATISTICS[found.dataset],
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
        What :func:`timing.take_turns` does, with the sums of the floors and
        the fastest way of PyTorch, and the :class:`timing.Peer` of each.
    """
    started, first = {}, {}
    for name, (script, *words) in {
            OURS: ('ours.py',), **peers, **FLOORS}.items():
        told = {**task, 'parts': name == PARTS}
        python = {'python': args.torch_python} if 'torch' in script else {}
        one = started[name] = timing.Peer(
            script, *words, json.dumps(told), threads=args.threads, **python)
        if one.unavailable:
            continue
        first[name] = one.prepare(args.seconds)['seconds']
        if 'torch' in script and first[name] > SLOW * first.get(
                EAGER, math.inf):
            one.close()
            one.unavailable = (f'an iteration takes {first[name]:.3g} s, more '
                               f'than {SLOW} times as long as {EAGER}')
    able = {name: one for name, one in started.items() if not one.unavailable}
    seconds = timing.take_turns(able, args.rounds)
    for one in able.values():
        one.close()
    ways = [seconds[name] for name in able if name.startswith('PyTorch')]
    floors = [seconds.pop(name) for name in FLOORS]
    if ways:
        seconds[BEST] = min(ways, key=statistics.median)
    seconds.update(zip(FLOORS, floors, strict=True))
    seconds[ALL] = list(map(sum, zip(*floors, strict=True)))
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
    from zoo import configured
    seconds, started = measure(task, args, {
        **torch_ways('layers' not in configured.FIELDS[task['net']]),
        PARTS: ('ours.py',)})
    with_clocks = seconds.pop(PARTS)
    missing = [f'not measured: {name}: {one.unavailable}'
               for name, one in started.items() if one.unavailable]
    replies = started[PARTS].replies
    parts = {name: statistics.median(
        reply['parts'].get(name, 0.) for reply in replies)
        for name in replies[-1]['parts']}
    total = sum(parts.values())
    products, *memory = (
        started[name].facts['work'] / statistics.median(seconds[name]) / 1e9
        for name in FLOORS)
    timing.report(
        args, f'An iteration of {args.config}, '
        f'batches of {task["batchsize"]}', [
            timing.table(['', 'ms', *timing.HEADER], [
                [name, *cells]
                for name, cells in timing.rows(seconds).items()]),
            *missing,
            f'The products alone do {products:.0f} Gop/s, the passes over the '
            f'memory of activations and optimizer {memory[0]:.0f} and '
            f'{memory[1]:.0f} GB/s.',
            f'Where the time goes, with a clock around each part, which '
            f'takes {1e3 * statistics.median(with_clocks):.2f} ms:',
            timing.table(['', 'ms', 'share'], [
                [name, f'{1e3 * value:.2f}', f'{value / total:.0%}']
                for name, value in sorted(
                    parts.items(), key=lambda item: -item[1])])],
        args.threads, started[EAGER].facts)


if __name__ == '__main__':
    from bnn.training.command_line import script
    script.run(main)
