#!/usr/bin/env python3
"""Run a published experiment and put its numbers beside ours.

    ./reproduce.py                 the experiments, and how we stand
    ./reproduce.py NAME            run one into reproductions/NAME/
    ./reproduce.py --report        the table of all that was run
"""
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile

from bnn import environment

environment.check(__file__)

from bnn import errors
from bnn.reproduction import comparison
from bnn.reproduction import experiments
from bnn.reproduction import published
from bnn.reproduction import standing
from bnn.training.command_line import parser
from bnn.training.command_line import script
from bnn.training.files import atomic
from bnn.training.files import model_file

ROOT = os.path.dirname(os.path.abspath(__file__))
FOLDER = 'reproductions'
EXPERIMENTS = experiments.EXPERIMENTS


def run(name, args, folder):
    """Runs an experiment with each seed and writes its folder.

    Args:
        name (str): The experiment.
        args (argparse.Namespace): The options.
        folder (str): Where each experiment has a folder.

    Raises:
        ~bnn.errors.UserError: If a run fails.
        SystemExit: If a signal ended a run.
    """
    experiment = EXPERIMENTS[name]
    earlier = standing.results({name: experiment}, folder)
    folder = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)

    def out_of(seed):
        return os.path.join(folder, 'seed-%s' % seed)

    def command_of(seed):
        return ['./' + experiment.script,
                *shlex.split(experiment.arguments), '--seed', str(seed),
                *passed_on(args, experiment), '--out', out_of(seed),
                '--resume', 'auto']

    # Other seeds of an earlier call stay.
    runs = {run['seed']: run
            for run in earlier.get(name, {'runs': ()})['runs']
            if run.get('command') == shlex.join(command_of(run.get('seed')))}
    for seed in range(args.seeds):
        command, out = command_of(seed), out_of(seed)
        print('$ ' + shlex.join(command), flush=True)
        status = call([sys.executable, os.path.join(
            ROOT, experiment.script), *command[1:]])
        if status in (130, 143):
            print('the same command goes on with it', file=sys.stderr)
            sys.exit(status)
        if status:
            raise errors.UserError(
                '%s ended with status %d; if %s is of other settings, move '
                'it away' % (name, status, out))
        runs[seed] = {'command': shlex.join(command), **read_run(out)}
        result = {'experiment': name,
                  'runs': [runs[seed] for seed in sorted(runs)]}
        result['verdict'] = standing.verdict(experiment, result)
        with atomic.write(os.path.join(folder, 'result.json')) as f:
            f.write(json.dumps(result, indent=1).encode())
        comparison.draw(os.path.join(folder, 'curve.png'), experiment.title,
                        result['runs'], published.result(name),
                        published.curve(name))
    print('%s: %s' % (name, result['verdict']))


def call(command):
    """Runs a command to its end, also after a signal that is for it too.

    Args:
        command (list of str): The command.

    Returns:
        int: Its exit status.
    """
    process = subprocess.Popen(command)
    # A terminal sends SIGINT to both; SIGTERM comes here alone.
    handlers = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(
            signal.SIGTERM, lambda *_: process.terminate())}
    try:
        return process.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def passed_on(args, experiment):
    """Returns the options that the training script gets from ours."""
    words = ['--epoch', str(args.epoch or experiment.epochs)]
    for name in ('gpu', 'data_dir'):
        value = getattr(args, name)
        if value is not None:
            words += ['--' + name.replace('_', '-'), str(value)]
    # Named, so that a run never falls back to other data
    words += ['--dataset', args.dataset or experiment.dataset]
    return words + ['--dry-run'] * args.dry_run


def read_run(out):
    """Returns what a finished run has to say of itself."""
    with open(os.path.join(out, 'log')) as f:
        log = json.load(f)
    attributes = model_file.read_attributes(os.path.join(out, 'mlp.model'))
    return {'epochs': log[-1]['epoch'], 'seconds': log[-1]['elapsed_time'],
            **{name: attributes.get(name) for name in (
                'seed', 'dataset', 'dry_run', 'validation', 'epoch',
                'test_accuracy', 'test_accuracy_top5', 'machine')},
            'log': log}


def list_experiments():
    """Prints the experiments and how each stands."""
    found = standing.results(EXPERIMENTS, FOLDER)
    for name, experiment in EXPERIMENTS.items():
        print('%-22s %s' % (name, experiment.title))
        print('%-22s %s' % ('', found[name]['verdict'] if name in found
                            else 'not run; published %s' % (
                                published.result(name)['accuracy'] or 'none')))
        if experiment.errors:
            print('%-22s %s' % ('', 'Note: ' + experiment.errors))


def make_parser():
    parser = parser.Parser(description=__doc__.splitlines()[0])
    parser.add_argument('name', nargs='?', metavar='NAME',
                        help='the experiment; without it they are listed')
    parser.add_argument('--seeds', type=parser.positive, metavar='N',
                        default=standing.SEEDS,
                        help='run it with the seeds 0 to N-1')
    parser.add_argument('--report', nargs='?', const='-', metavar='FILE',
                        help='print the table of what was run, or put it '
                        'into FILE between its marks')
    for flag, kind in (('--epoch', parser.positive), ('--gpu', int),
                       ('--data-dir', str), ('--dataset', str)):
        parser.add_argument(flag, type=kind, help='passed on to the script')
    parser.add_argument('--dry-run', action='store_true',
                        help='a few iterations of it, to see that it works')
    return parser


def main():
    parser = make_parser()
    args = parser.parse_args()
    if args.name is None or args.report is not None:
        for name, value in vars(args).items():
            if name not in ('name', 'report') and (
                    value != parser.get_default(name)):
                parser.error('--%s is for a run; name one experiment, '
                             'without --report' % name.replace('_', '-'))
    if args.name is not None and args.report is not None:
        parser.error('--report is about all that was run; leave %s out'
                     % args.name)
    if args.report == '-':
        print(standing.table(EXPERIMENTS, FOLDER))
    elif args.report is not None:
        standing.write(standing.table(EXPERIMENTS, FOLDER), args.report)
    elif args.name is None:
        list_experiments()
    elif args.name not in EXPERIMENTS:
        parser.error('no experiment %r; there are: %s'
                     % (args.name, ', '.join(EXPERIMENTS)))
    elif args.dry_run:  # its snapshots are none to go on from
        with tempfile.TemporaryDirectory() as folder:
            run(args.name, args, folder)
    else:
        run(args.name, args, FOLDER)


if __name__ == '__main__':
    script.run(main)
