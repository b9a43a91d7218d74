#!/usr/bin/env python3
"""Time of a training iteration against units, batch and threads.

Whole iterations of ./train_mnist.py, as in train_step.py, beside the floor of
the same shapes: its float32 matrix products and one pass over the optimizer's
arrays.
"""
import argparse
import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import timing

XLABELS = {'unit': 'units of a hidden layer', 'batchsize': 'images in a batch',
           'threads': 'threads'}


def main():
    cores = timing.cores()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    timing.add_net(parser)
    parser.add_argument('--threads', type=timing.positive, default=cores,
                        metavar='N', help='threads (default: the cores)')
    parser.add_argument('--over-unit', type=timing.positive, nargs='*',
                        metavar='N', default=[256 * 2 ** i for i in range(6)])
    parser.add_argument('--over-batchsize', type=timing.positive, nargs='*',
                        metavar='N', default=[10 ** i for i in range(5)])
    parser.add_argument('--over-threads', type=timing.positive, nargs='*',
                        metavar='N', default=sorted(
                            {2 ** i for i in range(cores.bit_length())}
                            | {cores}))
    parser.add_argument('--rounds', type=timing.positive, default=5,
                        metavar='N', help='turns of each')
    parser.add_argument('--seconds', type=float, default=0.5, metavar='S',
                        help='about how long a turn is')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'scaling.json'))
    parser.add_argument('--figure', metavar='FILE', default=os.path.join(
        ROOT, 'docs', 'figures', 'scaling.png'))
    args = parser.parse_args()
    series = {name: [measure(args, name, value)
                     for value in getattr(args, 'over_' + name)]
              for name in XLABELS}
    report(series)
    timing.save(args.out, {
        'settings': {name: getattr(args, name) for name in (
            'unit', 'layers', 'batchsize', 'images', 'gpu', 'threads',
            'rounds', 'seconds')}, 'series': series}, args.threads)
    draw(args, {name: points for name, points in series.items() if points})


def measure(args, name, value):
    """Returns the result of one setting."""
    setting = {name: value for name in ('unit', 'batchsize', 'threads')
               for value in [getattr(args, name)]} | {name: value}
    threads = setting.pop('threads')
    options = timing.net_options(args, **setting)
    contenders = [
        timing.Contender(one, script, *options, *more, threads=threads)
        for one, script, *more in (
            ('ours', 'ours.py'),
            ('products', 'floors.py', '--of=products'),
            ('memory', 'floors.py', '--of=memory'))]
    for one in contenders:
        if one.unavailable:
            raise RuntimeError(one.unavailable)
    estimate = min(contenders[0].turn(3, warmup=1))
    contenders[0].replies.clear()
    n = max(1, min(200, int(args.seconds / estimate)))
    timing.interleave(contenders, args.rounds, n)
    for one in contenders:
        one.close()
    ours, products, memory = contenders
    floor = products.median + memory.median
    print('%-9s %6d: %9.2f ms, floor %9.2f ms' % (
        name, value, 1e3 * ours.median, 1e3 * floor), file=sys.stderr)
    return {**setting, 'threads': threads, 'iterations': n,
            'seconds': ours.median, 'round_medians': ours.medians,
            'products_seconds': products.median,
            'memory_seconds': memory.median, 'floor_seconds': floor,
            'images_per_second': setting['batchsize'] / ours.median}


def report(series):
    """Prints a table of each series."""
    for name, points in series.items():
        if points:
            timing.print_table(
                [XLABELS[name], 'median ms', 'floor ms', 'by floor',
                 'images/s'], [[
                     str(point[name]), '%.2f' % (1e3 * point['seconds']),
                     '%.2f' % (1e3 * point['floor_seconds']),
                     '%.2f' % (point['seconds'] / point['floor_seconds']),
                     '%.0f' % point['images_per_second']]
                     for point in points])
            print()


def draw(args, series):
    """Draws the figure: a panel for each series."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib import ticker
    figure, panels = pyplot.subplots(
        1, len(series), figsize=(4 * len(series), 3.6), squeeze=False,
        layout='constrained', sharey=True)
    defaults = {'unit': '%d units' % args.unit,
                'batchsize': 'batch %d' % args.batchsize,
                'threads': '%d threads' % args.threads}
    for panel, (name, points) in zip(panels[0], series.items()):
        x = [point[name] for point in points]
        for key, label, style in (
                ('seconds', './train_mnist.py, an iteration',
                 dict(color='C0', marker='o')),
                ('floor_seconds', 'floor: products and optimizer memory',
                 dict(color='0.4', marker='s', markersize=4, ls='--'))):
            panel.plot(x, [1e3 * point[key] for point in points],
                       label=label, **style)
        panel.set_xscale('log', base=10 if name == 'batchsize' else 2)
        panel.set_yscale('log')
        panel.set_xticks(x, [str(value) for value in x])
        panel.xaxis.set_minor_locator(ticker.NullLocator())
        panel.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
        panel.set_xlabel(XLABELS[name])
        panel.set_title(', '.join(
            text for key, text in defaults.items() if key != name),
            fontsize='medium')
        panel.grid(True, which='major', alpha=0.3)
    panels[0][0].set_ylabel('time of an iteration (ms)')
    panels[0][0].legend(fontsize='small', loc='upper left')
    figure.savefig(args.figure, dpi=120)
    pyplot.close(figure)


if __name__ == '__main__':
    main()
