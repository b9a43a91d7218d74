#!/usr/bin/env python3
"""Time of a training iteration against units, batch and threads.

    benchmarks/scaling.py
    benchmarks/scaling.py --rounds 1

Whole iterations of ./train_mnist.py beside the floor of the same shapes, both
as in train_step.py.  --record draws docs/figures/scaling.png, too.
"""
import argparse
import os
import statistics
import sys

import timing
import train_step

LABELS = {'unit': 'units of a hidden layer', 'batchsize': 'images in a batch',
          'threads': 'threads'}
FIGURE = os.path.join(timing.ROOT, 'docs', 'figures', 'scaling.png')


def main():
    cores = timing.cores()
    parser = timing.parser(__doc__, rounds=3)
    timing.add_peers(parser)
    parser.add_argument('--unit', type=timing.positive, nargs='*',
                        default=[256 * 2 ** i for i in range(6)], metavar='N')
    parser.add_argument('--batchsize', type=timing.positive, nargs='*',
                        default=[10 ** i for i in range(5)], metavar='N')
    parser.add_argument('--over-threads', type=timing.positive, nargs='*',
                        metavar='N', default=sorted(
                            {2 ** i for i in range(cores.bit_length())}
                            | {cores}))
    parser.add_argument('--figure', metavar='FILE',
                        help='where to draw it')
    args = parser.parse_args()
    series = {
        'unit': [measure(args, n, unit=n) for n in args.unit],
        'batchsize': [measure(args, n, batchsize=n) for n in args.batchsize],
        'threads': [measure(args, n, threads=n)
                    for n in args.over_threads]}
    parts = []
    for name, points in series.items():
        if points:
            parts.append(timing.table(
                [LABELS[name], 'ms', 'floor ms', 'ours by it', 'images/s'],
                [[n, f'{1e3 * ours:.2f}', f'{1e3 * floor:.2f}',
                  f'{ratio:.2f}',
                  f'{(n if name == "batchsize" else 100) / ours:,.0f}']
                 for n, ours, floor, ratio in points]))
    timing.report(args, 'An iteration of ./train_mnist.py: 1000 units, '
                  'batches of 100, unless said', parts, args.threads)
    figure = args.figure or FIGURE if args.record else args.figure
    if figure:
        draw(figure, series, args.threads)


def measure(args: argparse.Namespace, n: int, threads: int | None = None,
            **options: int) -> tuple:
    """Measures one setting.

    Returns:
        ``n``, our seconds, those of the floor, and the ratio.
    """
    task = train_step.make_task('binary_net', [
        f'--{name}={value}' for name, value in options.items()])
    seconds, _ = train_step.measure(task, argparse.Namespace(
        **{**vars(args), 'threads': threads or args.threads}), {})
    ours, floor = seconds['ours'], seconds[train_step.ALL]
    print(n, *(f'{1e3 * statistics.median(one):.2f} ms'
               for one in (ours, floor)), file=sys.stderr)
    return (n, statistics.median(ours), statistics.median(floor),
            timing.ratio(ours, floor))


def draw(path: str, series: dict, threads: int) -> None:
    """Draws a panel for each series."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib import ticker
    figure, panels = pyplot.subplots(
        1, len(series), figsize=(4 * len(series), 3.6), layout='constrained',
        sharey=True)
    settings = {'unit': '1000 units', 'batchsize': 'batch 100',
                'threads': f'{threads} threads'}
    for panel, (name, points) in zip(panels, series.items(), strict=True):
        if not points:
            continue
        x, ours, floor, _ = zip(*points, strict=True)
        panel.plot(x, [1e3 * y for y in ours], color='C0', marker='o',
                   label='./train_mnist.py, an iteration')
        panel.plot(x, [1e3 * y for y in floor], color='.4', marker='s',
                   markersize=4, linestyle='--',
                   label='floor: products and memory')
        panel.set_xscale('log', base=10 if name == 'batchsize' else 2)
        panel.set_yscale('log')
        panel.set_xticks(x, map(str, x))
        panel.xaxis.set_minor_locator(ticker.NullLocator())
        panel.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
        panel.set_xlabel(LABELS[name])
        panel.set_title(', '.join(
            text for key, text in settings.items() if key != name),
            fontsize='medium')
        panel.grid(True, which='major', alpha=.3)
    panels[0].set_ylabel('time of an iteration (ms)')
    panels[0].legend(fontsize='small', loc='upper left')
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == '__main__':
    main()
