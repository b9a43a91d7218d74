"""When a run ends: its last epoch, a signal, a loss that is no number."""
import math
import signal
import sys

import chainer
from chainer.training import extension

from bnn import errors
from bnn.training import snapshots


class StopTrigger(object):

    """Stops after some epochs, or after the iteration in which a signal came.

    As a context it listens for SIGINT (Ctrl-C) and SIGTERM; the second one
    ends the program at once.

    Args:
        n_epochs (int): Length of the training.

    Attributes:
        signal (int or None): Number of the signal that came.
    """

    def __init__(self, n_epochs):
        self._n_epochs = n_epochs
        self.signal = None

    def __enter__(self):
        self._handlers = {number: signal.signal(number, self._receive)
                          for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        self.signal = number
        signal.signal(number, signal.SIG_DFL)
        sys.stderr.write('%s: stopping after this iteration\n'
                         % signal.Signals(number).name)

    def is_finished(self, trainer):
        """Tells whether all epochs are done."""
        # Not an interval trigger, which a run that is past the end already
        # would go on from to the next multiple.
        return trainer.updater.epoch >= self._n_epochs

    def __call__(self, trainer):
        return self.is_finished(trainer) or self.signal is not None

    def get_training_length(self):
        return self._n_epochs, 'epoch'


class StopOnNonFinite(extension.Extension):

    """Stops the run when the training loss is NaN or infinite.

    Where a GPU adds the losses up, which one that is not finite spoils, it
    looks at the end of each epoch: to look sooner is to wait.
    """

    trigger = 1, 'iteration'
    # Before the log, the figures and the snapshot take it in.
    priority = extension.PRIORITY_WRITER + 1

    def __call__(self, trainer):
        sums = getattr(trainer.updater, 'sums', None)
        if sums is not None:
            if trainer.updater.is_new_epoch:
                self._check_sum(trainer, sums)
            return
        loss = trainer.observation['main/loss']
        if isinstance(loss, chainer.Variable):
            loss = loss.array
        if not math.isfinite(loss):
            raise errors.UserError(
                'the loss is %s at iteration %d; %s'
                % (float(loss), trainer.updater.iteration,
                   snapshots.describe_last(trainer.out)))

    def _check_sum(self, trainer, sums):
        total, n = sums.read()['main/loss']
        if not math.isfinite(total):
            raise errors.UserError(
                'the loss became %s in the %d iterations up to %d; %s'
                % (total, n, trainer.updater.iteration,
                   snapshots.describe_last(trainer.out)))
