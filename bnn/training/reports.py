"""The log of a run: the file, the lines on standard output, the bar."""
import json
import os
import sys
import time

from chainer.training import extension
from chainer.training import extensions

from bnn.training import averages
from bnn.training import classifiers
from bnn.training import distributed
from bnn.training import files

_ERASE = '\033[J'
# Columns of Chainer's bar
_WIDTH = 71
TABLE = ('epoch', 'main/loss', 'validation/main/loss', 'main/accuracy',
         'validation/main/accuracy', 'elapsed_time')


class LogReport(extensions.LogReport):

    """Chainer's LogReport with means in float64, written atomically.

    The means of each epoch then stand in ``trainer.observation`` under the
    names of the values, for the extensions that come after.

    Args:
        comm (chainermn.CommunicatorBase or None): The ranks whose means these
            are; the first one writes.
        filename (str): Name of the file.
        sums (~bnn.training.device_data.Sums or None): What the iterations
            add up on a GPU, which is read once for each entry.
    """

    def __init__(self, comm=None, filename='log', sums=None):
        self._comm = comm
        self._sums = sums
        self._file = filename
        super().__init__(log_name=None)

    def _init_summary(self):
        # Plain means: SerialIterator fills every training batch from the next
        # epoch, and the evaluator reports once, weighted already.
        if self._sums is not None:
            self._summary = averages.MeansWithSums(self._sums)
        else:
            self._summary = (averages.Means() if self._comm is None else
                             distributed.Means(self._comm))

    def __call__(self, trainer):
        n_entries = len(self.log)
        super().__call__(trainer)
        if len(self.log) > n_entries:
            trainer.observation.update(self.log[-1])
            if self._comm is None or self._comm.rank == 0:
                with files.atomic_write(
                        os.path.join(trainer.out, self._file)) as f:
                    f.write(json.dumps(self.log, indent=4).encode())


class SeedReport(extension.Extension):

    """Prints the epoch log in the very lines of binary_net.

    Args:
        out: Stream to print to.
        part (str): What the epochs are tested on.
    """

    trigger = 1, 'iteration'
    priority = extension.PRIORITY_READER - 1

    def __init__(self, out, part='test'):
        self._out = out
        self._part = 'test ' if part == 'test' else 'valid'

    def initialize(self, trainer):
        self._print_next_epoch(trainer)

    def __call__(self, trainer):
        updater = trainer.updater
        if updater.iteration == 1:
            self._print('graph generated')
        if updater.is_new_epoch:
            entry = trainer.get_extension('LogReport').log[-1]
            self._print(seed_line('train', entry, 'main/'))
            self._print(seed_line(
                self._part, entry, 'validation/main/'))
            self._print_next_epoch(trainer)

    def _print_next_epoch(self, trainer):
        epoch = trainer.updater.epoch
        if epoch < trainer.stop_trigger.get_training_length()[0]:
            self._print('epoch %d' % (epoch + 1))

    def _print(self, line):
        self._out.write(line + '\n')
        self._out.flush()


def seed_line(part, means, prefix):
    """Returns a line like ``train mean loss=0.573861178756, accuracy=0.9``.

    12 digits, as Python 2 printed a float.  The share of top-5 hits follows
    where there is one.
    """
    line = '%s mean loss=%.12g, accuracy=%.12g' % (
        part, means[prefix + 'loss'], means[prefix + 'accuracy'])
    if prefix + 'accuracy_top5' in means:
        line += ', top-5 accuracy=%.12g' % means[prefix + 'accuracy_top5']
    return line


def print_test(evaluator):
    """Tests an evaluator's model and prints the line of the test."""
    print(seed_line('test ', evaluator.test(), 'main/'))


def say(args, line, otherwise=False):
    """Prints a line of binary_net's log.

    Args:
        args (argparse.Namespace): ``report``; there is nothing to say but
            for ``'seed'``.
        line (str): The line.
        otherwise (bool): Whether standard error gets it with other reports.
    """
    if args.report == 'seed':
        print(line, flush=True)
    elif otherwise:
        print(line, file=sys.stderr)


class LogStream(object):

    """Standard output for log lines: text only, above the progress bar.

    Chainer's PrintReport erases a bar with an escape code even in a pipe;
    here the bar is erased where it stands, and only if there is one.

    Args:
        stream: Where the lines go.
        bar (ProgressBar or None): The bar that may stand below.
    """

    def __init__(self, stream, bar=None):
        self._stream = stream
        self._bar = bar

    def write(self, text):
        text = text.replace(_ERASE, '')
        if text:
            if self._bar is not None:
                self._bar.erase()
            self._stream.write(text)

    def flush(self):
        self._stream.flush()


def _has_room(stream):
    if not stream.isatty():
        return False
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        columns = 0
    # 0 is of a terminal that does not know its size.
    return columns == 0 or columns >= _WIDTH


class ProgressBar(extensions.ProgressBar):

    """Chainer's progress bar, on standard error and by the clock.

    On a terminal it redraws itself a few times a second; elsewhere, and on
    one that is too narrow for it, it writes a plain line now and then.

    Args:
        out: Stream to draw on.
    """

    trigger = 1, 'iteration'

    def __init__(self, out=None):
        out = sys.stderr if out is None else out
        super().__init__(out=out)
        self._is_terminal = _has_room(out)
        self._interval = 0.2 if self._is_terminal else 10.
        self._next = 0.
        # Chainer does not hand its ``out`` to the object that draws.
        self._pbar._out = out

    def initialize(self, trainer):
        # A first point in time, without which the rate would be infinite.
        self._pbar.update_speed(
            trainer.updater.iteration, trainer.updater.epoch_detail)

    def __call__(self, trainer):
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._interval
        self._pbar.trainer = trainer
        if self._is_terminal:
            self._pbar.update()
        else:
            *_, status, rate = self._pbar.get_lines()
            self._out.write('%s, %s\n' % (status.strip(), rate.strip()))
            self._out.flush()

    def erase(self):
        """Takes the bar off the terminal until the next time it is drawn."""
        if self._is_terminal:
            self._pbar.erase_console()
            self._pbar.flush()

    def finalize(self):
        self.erase()


def extend(trainer, report, progress, part='test'):
    """Adds the lines of a report and the bar to a trainer.

    Args:
        trainer (~chainer.training.Trainer): The trainer, with a
            :class:`LogReport` of that name.
        report (str): ``'seed'``, ``'table'`` or ``'quiet'``.
        progress (bool or None): Whether to show a bar; with ``None`` if
            standard error is a terminal.
        part (str): What the epochs are tested on, for the lines.
    """
    bar = None
    if sys.stderr.isatty() if progress is None else progress:
        bar = ProgressBar()
        trainer.extend(bar)
    out = LogStream(sys.stdout, bar)
    table = TABLE
    if isinstance(trainer.updater.get_optimizer('main').target,
                  classifiers.Top5Classifier):
        table += ('validation/main/accuracy_top5',)
    if report == 'seed':
        trainer.extend(SeedReport(out, part))
    elif report == 'table':
        trainer.extend(extensions.PrintReport(table, out=out))
