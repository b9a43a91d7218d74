#!/usr/bin/env python3
"""Run a published experiment and put its numbers beside ours.

    ./reproduce.py                 the experiments, and how we stand
    ./reproduce.py NAME            run one into reproductions/NAME/
    ./reproduce.py --report        the table of all that was run
"""
import csv
import dataclasses
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

from bnn import environment

environment.check(__file__)

import matplotlib
from matplotlib import pyplot
from matplotlib import ticker

from bnn import errors
from bnn import machine
from bnn.training import arguments
from bnn.training import files
from bnn.training import models
from bnn.training import session

ROOT = os.path.dirname(os.path.abspath(__file__))
PUBLISHED = os.path.join(ROOT, 'published')
FOLDER = 'reproductions'
MARKS = '<!-- reproduce.py --report -->', '<!-- end of report -->'


@dataclasses.dataclass(frozen=True)
class Experiment:

    """One published experiment; its numbers stand in published/.

    Attributes:
        title (str): What it is, for the table.
        arguments (str): What the script is started with.
        errors (str): What is known to be wrong in the published one.
        script (str): The script.
    """

    title: str
    arguments: str
    errors: str = ''
    script: str = 'train_mnist.py'


EXPERIMENTS = {
    'binary_net': Experiment(
        'binary_net: binary MLP, the seed\'s settings, 20 epochs', '',
        errors='Its CPU path never clipped; it tested with batch statistics '
        '(--test-statistics batch).'),
}


def read_csv(name):
    """Reads a table of published/ as a list of dicts."""
    with open(os.path.join(PUBLISHED, name + '.csv'), newline='') as f:
        return list(csv.DictReader(
            line for line in f if not line.startswith('#')))


def published(name):
    """Returns the row of an experiment in published/results.csv."""
    row, = (row for row in read_csv('results') if row['experiment'] == name)
    return row


def published_curve(name):
    """Returns the published epochs of an experiment; none: an empty list."""
    if not os.path.exists(os.path.join(PUBLISHED, name + '.csv')):
        return []
    return [{key: float(value) for key, value in row.items()}
            for row in read_csv(name)]


def run(name, args, folder):
    """Runs an experiment with each seed and writes its folder."""
    experiment = EXPERIMENTS[name]
    os.makedirs(folder, exist_ok=True)
    runs = []
    for seed in range(args.seeds):
        out = os.path.join(folder, 'seed-%d' % seed)
        command = [os.path.join(ROOT, experiment.script),
                   *shlex.split(experiment.arguments), '--seed', str(seed),
                   *passed_on(args), '--out', out, '--resume', 'auto']
        print('$ ' + shlex.join(command), flush=True)
        status = subprocess.call([sys.executable, *command])
        if status:
            raise errors.UserError(
                '%s ended with status %d; the same command goes on with it'
                % (name, status))
        runs.append(read_run(out))
    result = {
        'experiment': name, 'arguments': experiment.arguments,
        'command': shlex.join(['./reproduce.py', name, '--seeds',
                               str(args.seeds), *passed_on(args)]),
        'machine': machine.describe(), 'runs': runs}
    result['verdict'] = verdict(result)
    with files.atomic_write(os.path.join(folder, 'result.json')) as f:
        f.write(json.dumps(result, indent=1).encode())
    draw(name, result, os.path.join(folder, 'curve.png'))
    print('%s: %s' % (name, result['verdict']))


def passed_on(args):
    """Returns the options that the training script gets from ours."""
    words = []
    for name in ('epoch', 'gpu', 'data_dir', 'dataset'):
        value = getattr(args, name)
        if value is not None:
            words += ['--' + name.replace('_', '-'), str(value)]
    return words + ['--dry-run'] * args.dry_run


def read_run(out):
    """Returns what a finished run has to say of itself."""
    with open(os.path.join(out, 'log')) as f:
        log = json.load(f)
    attributes = models.read_attributes(os.path.join(out, 'mlp.model'))
    return {'seed': attributes['seed'], 'dataset': attributes['dataset'],
            'dry_run': attributes['dry_run'],
            'epochs': log[-1]['epoch'], 'seconds': log[-1]['elapsed_time'],
            'test_accuracy': attributes['test_accuracy'], 'log': log}


def accuracies(result):
    return [run['test_accuracy'] for run in result['runs']]


def verdict(result):
    """Returns one line: published, ours, reached or not."""
    row = published(result['experiment'])
    ours = accuracies(result)
    mean = statistics.mean(ours)
    line = ('published %s, ours %.4f (%d seeds, %.4f to %.4f, %d epochs), '
            'to reach %s: %s' % (
                row['accuracy'] or 'none', mean, len(ours), min(ours),
                max(ours), result['runs'][0]['epochs'], row['reach'],
                'reached' if mean >= float(row['reach']) else 'not reached'))
    curve = published_curve(result['experiment'])
    if curve:
        line += ('; largest difference of the train loss from the published '
                 'curve %.4f' % max(
                     abs(entry['main/loss'] - theirs['train_loss'])
                     for run in result['runs']
                     for entry, theirs in zip(
                         run['log'], curve, strict=False)))
    run = result['runs'][0]
    if run['dry_run']:
        line += '; a dry run, no result'
    elif run['dataset'] != 'mnist':
        line += '; on %s' % run['dataset']
    return line


def draw(name, result, path):
    """Draws the published curve and ours, loss and accuracy, into a PNG."""
    matplotlib.use('Agg')
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout='tight')
    curve = published_curve(name)
    row = published(name)
    for ax, quantity in zip(axes, ('loss', 'accuracy'), strict=True):
        for part, key, color in (('train', 'main/', 'C0'),
                                 ('test', 'validation/main/', 'C1')):
            for i, run in enumerate(result['runs']):
                log = [entry for entry in run['log'] if key + quantity
                       in entry]
                ax.plot([entry['epoch'] for entry in log],
                        [entry[key + quantity] for entry in log], color,
                        alpha=.6, linewidth=1,
                        label='%s, ours' % part if i == 0 else None)
            if curve:
                ax.plot([row['epoch'] for row in curve],
                        [row['%s_%s' % (part, quantity)] for row in curve],
                        color + '.', label='%s, published' % part)
        if quantity == 'accuracy' and row['accuracy'] and not curve:
            ax.axhline(float(row['accuracy']), color='C1', linestyle=':',
                       label='test, published')
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.set_xlabel('epoch')
        ax.set_ylabel(quantity)
        ax.grid(alpha=.3)
        ax.legend()
    figure.suptitle(EXPERIMENTS[name].title, fontsize=11)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def results():
    """Returns what was run, a dict of names to results."""
    found = {}
    for name in EXPERIMENTS:
        path = os.path.join(FOLDER, name, 'result.json')
        if os.path.exists(path):
            with open(path) as f:
                found[name] = json.load(f)
    return found


def list_experiments():
    """Prints the experiments and how each stands."""
    found = results()
    for name, experiment in EXPERIMENTS.items():
        print('%-22s %s' % (name, experiment.title))
        print('%-22s %s' % ('', found[name]['verdict'] if name in found
                            else 'not run; published %s' % (
                                published(name)['accuracy'] or 'none')))


def report():
    """Returns the table of what was run, in Markdown."""
    lines = ['| experiment | published | ours: mean (range) | seeds | epochs '
             '| to reach | |', '|---|---|---|---|---|---|---|']
    for name, result in results().items():
        row = published(name)
        ours = accuracies(result)
        lines.append(
            '| `./reproduce.py %s`<br>%s | %s | %.4f (%.4f to %.4f) | %d | %d '
            '| %s | %s |' % (
                name, EXPERIMENTS[name].title, row['accuracy'] or '-',
                statistics.mean(ours), min(ours), max(ours), len(ours),
                result['runs'][0]['epochs'], row['reach'],
                'reached' if statistics.mean(ours) >= float(row['reach'])
                else 'not reached'))
    return '\n'.join(lines)


def write_report(path):
    """Puts the table between the marks in a file, and figures in docs/."""
    try:
        with open(path) as f:
            text = f.read()
    except OSError as e:
        raise errors.UserError(
            'cannot read %s: %s' % (path, e.strerror)) from e
    if any(text.count(mark) != 1 for mark in MARKS):
        raise errors.UserError(
            '%s has not the two lines %s and %s that the table goes between'
            % (path, *MARKS))
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    with files.atomic_write(path) as f:
        f.write('\n'.join([before + MARKS[0], report(), MARKS[1] + after])
                .encode())


def make_parser():
    parser = arguments.Parser(description=__doc__.splitlines()[0])
    parser.add_argument('name', nargs='?', metavar='NAME',
                        help='the experiment; without it they are listed')
    parser.add_argument('--seeds', type=arguments.positive, default=3,
                        metavar='N', help='run it with the seeds 0 to N-1')
    parser.add_argument('--report', nargs='?', const='-', metavar='FILE',
                        help='print the table of what was run, or put it '
                        'into FILE between its marks')
    for flag, kind in (('--epoch', arguments.positive), ('--gpu', int),
                       ('--data-dir', str), ('--dataset', str)):
        parser.add_argument(flag, type=kind, help='passed on to the script')
    parser.add_argument('--dry-run', action='store_true',
                        help='a few iterations of it, to see that it works')
    return parser


def main():
    parser = make_parser()
    args = parser.parse_args()
    if args.report == '-':
        print(report())
    elif args.report is not None:
        write_report(args.report)
    elif args.name is None:
        list_experiments()
    elif args.name not in EXPERIMENTS:
        parser.error('no experiment %r; there are: %s'
                     % (args.name, ', '.join(EXPERIMENTS)))
    elif args.dry_run:  # its snapshots are none to go on from
        with tempfile.TemporaryDirectory() as folder:
            run(args.name, args, folder)
    else:
        run(args.name, args, os.path.join(FOLDER, args.name))


if __name__ == '__main__':
    session.cli(main)
