#!/usr/bin/env python3
"""Run a published experiment and put its numbers beside ours.

    ./reproduce.py                 the experiments, and how we stand
    ./reproduce.py NAME            run one into reproductions/NAME/
    ./reproduce.py --report        the table of all that was run
"""
import dataclasses
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
from bnn import published
from bnn.training import arguments
from bnn.training import cli
from bnn.training import comparison
from bnn.training import files
from bnn.training import models
from bnn.training import standing

ROOT = os.path.dirname(os.path.abspath(__file__))
FOLDER = 'reproductions'


@dataclasses.dataclass(frozen=True)
class Experiment:

    """One published experiment; its numbers stand in published/.

    Attributes:
        title (str): What it is, for the table.
        arguments (str): What the script is started with.
        epochs (int): Length of the training.
        errors (str): What is known to be wrong in the published one.
        script (str): The script.
        dataset (str): The data.
    """

    title: str
    arguments: str
    epochs: int
    errors: str = ''
    script: str = 'train_mnist.py'
    dataset: str = 'mnist'


_BEST_ON_TEST = 'Its number is the best epoch on the test set.  '
_WHITENED = 'It whitens the images and varies none; ours are varied.'
_CIFAR10 = {'script': 'train_cifar10.py', 'dataset': 'cifar10'}

EXPERIMENTS = {
    'binary_net': Experiment(
        "binary_net: binary MLP, the seed's settings, 20 epochs", '', 20,
        errors='Its CPU path never clipped, and it tested with batch '
        'statistics (--test-statistics batch does).'),
    'quantized_net': Experiment(
        "quantized_net: 3-bit MLP, the seed's settings, 20 epochs",
        '--net quantized --w-bits 3 --a-bits 3 --clip all --report table',
        20,
        errors='It does not say its bits; of 2, 3 and 4 with DoReFa, 3 and 3 '
        'give its training curve.'),
    'float_mlp': Experiment(
        'Binary-Neural-Networks: float baseline, 200 epochs',
        '--net float --recipe seed003', 200,
        errors='Its last layer is never trained; ours is. It shuffles the '
        'data once; ours at each epoch. At its rate, 0.001, ours has 0.91 on '
        'validation at epoch 50, its log 0.967.'),
    'float_mlp_sum': Experiment(
        'the same, its rate for a loss summed over the batch (0.256 for the '
        'mean), 200 epochs',
        '--net float --recipe seed003 --lr 0.256', 200,
        errors='Whether its loss is a sum is not known, see float_mlp.'),
    'float_mlp_schedule': Experiment(
        'the same, 20 epochs, cosine from 0.256',
        '--net float --recipe seed003 --lr 0.256 --lr-schedule cosine',
        20, errors='As float_mlp_sum.'),
    'binary_weight_mlp': Experiment(
        'Binary-Neural-Networks: binary weights, 200 epochs, at rate '
        '0.00001 (the seed\'s: 0.001)',
        '--net binary-weight --recipe seed003 --clip all --lr 0.00001', 200,
        errors='As the baseline. With its rate, 0.001, and a last layer that '
        'is trained, every ReLU dies in the first epoch (accuracy 0.11); '
        'ours is 0.00001.'),
    'best': Experiment(
        'binary weights and activations, 784-1000-1000-10, 20 epochs',
        '--recipe best', 20),
    'binarynet_paper': Experiment(
        'BinaryNet paper: 3 x 4096, 1000 epochs',
        '--layers 3 --unit 4096 --validation 10000 '
        '--input signed --dropout-input 0.2 --dropout-hidden 0.5 '
        '--loss squared-hinge --clip weights --lr 0.003 --lr-final 3e-7 '
        '--lr-schedule exponential --lr-scale glorot', 1000,
        errors='It draws its initial weights from [-1, 1]; ours are '
        'N(0, 1/n).'),
    'lfc': Experiment(
        'BNN-PYNQ LFC: 3 x 1024, 1-bit inputs; 120 epochs on varied images',
        '--layers 3 --unit 1024 --input binary '
        '--augment affine --surrogate approx-sign --clip weights --lr 0.01 '
        '--lr-schedule cosine --precise-bn', 120,
        errors='Its training is not published in detail.'),
    'lenet5': Experiment(
        'XNOR-Net-PyTorch: LeNet-5, 60 epochs', '--net lenet5', 60,
        errors=_BEST_ON_TEST + 'Evaluating it changes its weights.'),
    'lenet5_float': Experiment(
        'XNOR-Net-PyTorch: float LeNet-5, 60 epochs', '--net lenet5-float',
        60, errors=_BEST_ON_TEST),
    'lenet5_varied': Experiment(
        'LeNet-5 as above, 18 epochs on varied images',
        '--net lenet5 --augment affine --precise-bn '
        '--lr-schedule cosine', 18, errors=_BEST_ON_TEST),
    'shallow_convnet': Experiment(
        'Binary-Neural-Networks: shallow net, binary weights, with batch '
        'normalization, 4 epochs', '--net shallow', 4,
        errors='Its 0.63 is a note without settings.  Its last layer is '
        'never trained, and it has no batch normalization; --recipe seed003 '
        'has its settings.', **_CIFAR10),
    'shallow_convnet_float': Experiment(
        'the same, float', '--net shallow-float', 4,
        errors='What was published is an accuracy on validation.',
        **_CIFAR10),
    'nin': Experiment(
        'XNOR-Net-PyTorch: NIN, 320 epochs', '--net nin --augment crop-flip',
        320, errors=_BEST_ON_TEST + _WHITENED, **_CIFAR10),
    'nin_float': Experiment(
        'XNOR-Net-PyTorch: float NIN, 320 epochs',
        '--net nin-float --augment crop-flip', 320,
        errors=_BEST_ON_TEST + _WHITENED, **_CIFAR10),
    'convnet': Experiment(
        'BinaryNet paper: ConvNet, 500 epochs', '--net convnet', 500,
        errors='It whitens the images; ours are as they are.', **_CIFAR10),
    'convnet_binary_weight': Experiment(
        'BinaryConnect paper: ConvNet, 500 epochs',
        '--net convnet-binary-weight', 500,
        errors='It whitens the images; ours are as they are.', **_CIFAR10),
    'alexnet': Experiment(
        'XNOR-Net-PyTorch: AlexNet, 100 epochs', '--net alexnet', 100,
        errors=_BEST_ON_TEST, script='train_imagenet.py',
        dataset='imagenet'),
}


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
        with files.atomic_write(os.path.join(folder, 'result.json')) as f:
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
    attributes = models.read_attributes(os.path.join(out, 'mlp.model'))
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
    parser = arguments.Parser(description=__doc__.splitlines()[0])
    parser.add_argument('name', nargs='?', metavar='NAME',
                        help='the experiment; without it they are listed')
    parser.add_argument('--seeds', type=arguments.positive, metavar='N',
                        default=standing.SEEDS,
                        help='run it with the seeds 0 to N-1')
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
    cli.run(main)
