#!/usr/bin/env python3
"""Run a configuration with several seeds and put our numbers beside its own.

    ./reproduce.py                   the configurations, and how we stand
    ./reproduce.py binary_net        run one into reproductions/binary_net/
    ./reproduce.py --report          the table of all that was run
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
from bnn.reproduction import figure
from bnn.reproduction import results
from bnn.training.command_line import config as config_module
from bnn.training.command_line import script
from bnn.training.command_line import setting
from bnn.training.files import atomic
from bnn.training.files import model_file
from configs import find

ROOT = os.path.dirname(os.path.abspath(__file__))
FOLDER = 'reproductions'


def run(config, args, folder):
    """Runs a configuration with each seed and writes its folder.

    Args:
        config (~bnn.training.command_line.config.Config): The configuration.
        args (argparse.Namespace): The options.
        folder (str): Where each configuration has a folder.

    Raises:
        ~bnn.errors.UserError: If a run fails.
        SystemExit: If a signal ended a run.
    """
    earlier = results.read({config.name: config}, folder)
    folder = os.path.join(folder, config.name)
    os.makedirs(folder, exist_ok=True)

    def out_of(seed):
        return os.path.join(folder, f'seed-{seed}')

    def command_of(seed):
        return ['./train.py', config.name, '--seed', str(seed),
                *passed_on(args, config), '--out', out_of(seed),
                '--resume', 'auto']

    # Other seeds of an earlier call stay.
    runs = {run['seed']: run
            for run in earlier.get(config.name, {'runs': ()})['runs']
            if run.get('command') == shlex.join(command_of(run.get('seed')))}
    for seed in range(args.seeds):
        command, out = command_of(seed), out_of(seed)
        print('$ ' + shlex.join(command), flush=True)
        status = call([sys.executable, os.path.join(ROOT, 'train.py'),
                       *command[1:]])
        if status in (130, 143):
            print('the same command goes on with it', file=sys.stderr)
            sys.exit(status)
        if status:
            raise errors.UserError(
                f'{config.name} ended with status {status}' + (
                    '' if args.dry_run else
                    f'; if {out} is of other settings, move it away'))
        runs[seed] = {'command': shlex.join(command), **read_run(out)}
        result = {'experiment': config.name,
                  'runs': [runs[seed] for seed in sorted(runs)]}
        result['verdict'] = results.verdict(config, result)
        with atomic.write(os.path.join(folder, 'result.json')) as f:
            f.write(json.dumps(result, indent=1).encode())
        figure.draw(os.path.join(folder, 'curve.png'), config, result['runs'],
                    results.published_curve(config.name))
    print(f'{config.name}: {result["verdict"]}')


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


def passed_on(args, config):
    """Returns the options that train.py gets from ours."""
    words = ['--epoch', str(args.epoch or config.epoch)]
    for name in ('gpu', 'data_dir'):
        value = getattr(args, name)
        if value is not None:
            words += [config_module.flag(name), str(value)]
    # Named, so that a run never falls back to other data
    words += ['--dataset', args.dataset or config.dataset]
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


def list_configurations(configs):
    """Prints the configurations and how each stands."""
    found, rows = results.read(configs, FOLDER), results.kept()
    for name, config in configs.items():
        print(f'{name:22} {config.title}')
        if name in found:
            words = found[name]['verdict']
        elif name in rows:
            words = (f'ours {rows[name].mean:.4f}: '
                     f'{results.outcome(config, rows[name])}')
        else:
            words = 'not run'
        print(f'{"":22} {words}')
        if config.notes:
            print(f'{"":22} Note: {config.notes}')


def make_parser():
    parser = script.Parser(__doc__, usage='[CONFIG] [OPTION ...]')
    parser.add_argument('name', nargs='?', metavar='CONFIG',
                        help='the configuration; without it all are listed')
    parser.add_argument('--seeds', type=setting.positive, metavar='N',
                        default=results.SEEDS,
                        help='run it with the seeds 0 to N-1 (default: 3)')
    parser.add_argument('--report', nargs='?', const='-', metavar='FILE',
                        help='print the table of what was run; or put it '
                        'into FILE between its marks, and keep its rows')
    for flag, kind in (('--epoch', setting.positive), ('--gpu', int),
                       ('--data-dir', str), ('--dataset', str)):
        parser.add_argument(flag, type=kind, help='passed on to train.py')
    parser.add_argument('--dry-run', action='store_true',
                        help='a few iterations of it, to see that it works')
    return parser


def main():
    parser = make_parser()
    args = parser.parse_args()
    configs = {name: find.get(name) for name in find.names()}
    if args.name is None or args.report is not None:
        for name, value in vars(args).items():
            if name not in ('name', 'report') and (
                    value != parser.get_default(name)):
                parser.error(f'{config_module.flag(name)} is for a run; name '
                             'one configuration, without --report')
    if args.name is not None and args.report is not None:
        parser.error('--report is about all that was run; leave '
                     f'{args.name} out')
    if args.report is not None:
        rows = results.collect(configs, FOLDER)
        table = results.table(configs, rows)
        if args.report == '-':
            print(table)
        else:
            results.write(table, args.report)
            results.keep(rows)
    elif args.name is None:
        list_configurations(configs)
    elif args.dry_run:  # Its snapshots are none to go on from.
        with tempfile.TemporaryDirectory() as folder:
            run(find.get(args.name), args, folder)
    else:
        run(find.get(args.name), args, FOLDER)
        script.say_next(compare=script.path('reproduce.py') + ' --report')


if __name__ == '__main__':
    script.run(main)
