"""When a run ends: its last epoch, a signal, a loss that is no number."""
import contextlib
import math
import signal
import sys

import chainer
import numpy
from chainer import training
from chainer.training import extension

from bnn import errors
from bnn.training.files import snapshots
from bnn.training.ranks import alone


class StopTrigger:
    """Stops after some epochs, or after the iteration in which a signal came.

    As a context it listens for SIGINT (Ctrl-C) and SIGTERM; the second one
    ends the program at once.  NumPy's warnings of overflow are silent in it,
    since :class:`StopOnNonFinite` looks.

    Args:
        n_epochs: Length of the training.
        ranks: The processes of the run, which stop after the same iteration,
            whichever got a signal.

    Attributes:
        signal (int or None): Number of the signal that came.
    """

    def __init__(self, n_epochs: int, ranks: alone.Ranks = alone.ALONE
                 ) -> None:
        self._n_epochs = n_epochs
        self._ranks = ranks
        self.signal = None

    def __enter__(self) -> 'StopTrigger':
        self._stack = contextlib.ExitStack()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._stack.callback(
                signal.signal, number, signal.signal(number, self._receive))
        self._stack.enter_context(numpy.errstate(
            over='ignore', invalid='ignore', divide='ignore'))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _receive(self, number, frame):
        self.signal = number
        signal.signal(number, signal.SIG_DFL)
        sys.stderr.write(f'{signal.Signals(number).name}: stopping after '
                         'this iteration\n')

    def is_finished(self, trainer: training.Trainer) -> bool:
        """Tells whether all epochs are done."""
        # Not an interval trigger, which a run that is past the end already
        # would go on from to the next multiple.
        return trainer.updater.epoch >= self._n_epochs

    def __call__(self, trainer: training.Trainer) -> bool:
        # A signal that comes during the exchange is left to the next one: no
        # rank may forget it, and none may stop without the others.
        number = self._ranks.largest(self.signal or 0)
        if number:
            self.signal = number
        return self.is_finished(trainer) or number > 0

    def get_training_length(self) -> tuple[int, str]:
        return self._n_epochs, 'epoch'


class StopOnNonFinite(extension.Extension):
    """Stops the run when the training loss is NaN or infinite.

    On a GPU it looks at the end of each epoch, since to look is to wait.
    """

    trigger = 1, 'iteration'
    # Before the log, the figures and the snapshot take it in.
    priority = extension.PRIORITY_WRITER + 1

    def __call__(self, trainer: training.Trainer) -> None:
        loss = chainer.as_array(trainer.observation['main/loss'])
        if not isinstance(loss, (numpy.ndarray, numpy.generic, float)) and (
                not trainer.updater.is_new_epoch):
            return
        if not math.isfinite(loss):
            raise errors.UserError(
                f'the loss is {float(loss)} at iteration '
                f'{trainer.updater.iteration}; '
                f'{snapshots.describe_last(trainer.out)}')
