"""What a run prints: its header, the epochs' lines, the last words."""
import sys
from typing import TextIO

import chainer
from chainer import training
from chainer.training import extension
from chainer.training import extensions

from bnn import data
from bnn.training import devices
from bnn.training.command_line import config as config_module
from bnn.training.ranks import alone
from bnn.training.reports import progress

TABLE = ('epoch', 'main/loss', 'validation/main/loss', 'main/accuracy',
         'validation/main/accuracy', 'elapsed_time')


class SeedReport(extension.Extension):
    """Prints the epoch log in the very lines of binary_net.

    Args:
        out: Stream to print to.
        part: What the epochs are tested on, ``'test'`` or ``'validation'``.
    """

    trigger = 1, 'iteration'
    # After the LogReport
    priority = extension.PRIORITY_READER - 1

    def __init__(self, out: TextIO, part: str = 'test') -> None:
        self._out = out
        self._part = 'test ' if part == 'test' else 'valid'

    def initialize(self, trainer: training.Trainer) -> None:
        self._print_next_epoch(trainer)

    def __call__(self, trainer: training.Trainer) -> None:
        updater = trainer.updater
        if updater.iteration == 1:
            self._print('graph generated')
        if updater.is_new_epoch:
            entry = trainer.get_extension('LogReport').log[-1]
            self._print(seed_line('train', entry, 'main/'))
            self._print(seed_line(self._part, entry, 'validation/main/'))
            self._print_next_epoch(trainer)

    def _print_next_epoch(self, trainer):
        epoch = trainer.updater.epoch
        if epoch < trainer.stop_trigger.get_training_length()[0]:
            self._print(f'epoch {epoch + 1}')

    def _print(self, line):
        self._out.write(line + '\n')
        self._out.flush()


def seed_line(part: str, means: dict[str, float], prefix: str) -> str:
    """Returns a line like ``train mean loss=0.573861178756, accuracy=0.9``.

    It has 12 digits, as Python 2 printed a float.  The share of top-5 hits
    follows where there is one.
    """
    line = (f'{part} mean loss={means[prefix + "loss"]:.12g}, '
            f'accuracy={means[prefix + "accuracy"]:.12g}')
    if prefix + 'accuracy_top5' in means:
        line += f', top-5 accuracy={means[prefix + "accuracy_top5"]:.12g}'
    return line


def report(kind: str, show_progress: bool | None = None, part: str = 'test',
           top5: bool = False) -> list[extension.Extension]:
    """Returns the extensions that print while a run goes on.

    Args:
        kind: ``'seed'``: the lines of binary_net; ``'table'``: Chainer's
            table; ``'quiet'``: no lines.
        show_progress: Whether there is a progress bar; ``None``: if standard
            error is a terminal.
        part: What the epochs are tested on, for the lines.
        top5: Whether the table has a column for the share of top-5 hits.

    Returns:
        For a trainer with a :class:`~bnn.training.reports.log.LogReport`.
    """
    bar = None
    if sys.stderr.isatty() if show_progress is None else show_progress:
        bar = progress.ProgressBar(sys.stderr)
    out = progress.AboveBar(sys.stdout, bar)
    found = [] if bar is None else [bar]
    if kind == 'seed':
        found.append(SeedReport(out, part))
    elif kind == 'table':
        found.append(extensions.PrintReport(
            TABLE + ('validation/main/accuracy_top5',) * top5, out=out))
    return found


def say(config: config_module.Config, line: str, always: bool = False
        ) -> None:
    """Prints a line of binary_net's log.

    Args:
        config: Its ``report``; only ``'seed'`` has such lines.
        line: The line.
        always: Whether standard error gets it with other reports.
    """
    if config.report == 'seed':
        print(line, flush=True)
    elif always:
        print(line, file=sys.stderr)


def print_header(config: config_module.Config, net: str,
                 dataset: data.Dataset, device: chainer.backend.Device,
                 out: str, ranks: alone.Ranks = alone.ALONE) -> None:
    """Prints what a run is, on standard error.

    Args:
        config: The configuration.
        net: The net in words.
        dataset: The data.
        device: Where the net computes.
        out: The folder of the results.
        ranks: The processes of the run.
    """
    n_validation = 0 if dataset.validation_labels is None else len(
        dataset.validation_labels)
    for name, value in (
            ('device', devices.describe(device)),
            ('gradients', devices.describe_products(
                config.gpu, config.precision)), ('net', net),
            ('batch size', ranks.describe_batch(config.batchsize)),
            ('epochs', config.n_epochs), ('seed', config.seed),
            ('data', f'{dataset.title}, {len(dataset.train_labels)} training, '
             + (f'{n_validation} validation, ' if n_validation else '')
             + f'{len(dataset.test_labels)} test images ({dataset.source})'),
            ('results', out)):
        print(f'{name + ":":12}{value}', file=sys.stderr)
