"""The log of a run, an entry for each epoch."""
import json
import os
from typing import Any

from chainer import training
from chainer.training import extension

from bnn.training.files import atomic
from bnn.training.learning import means
from bnn.training.ranks import alone


class LogReport(extension.Extension):
    """Means of what is reported, for each epoch, in the file ``log``.

    Like Chainer's LogReport, but with means in float64, over all processes,
    in a file that is written atomically.  The means of an epoch then stand in
    ``trainer.observation`` under the names of the values, for the extensions
    that come after.

    Args:
        ranks: The processes of the run; the first one writes.

    Attributes:
        log (list of dict): The entries, with ``epoch``, ``iteration`` and
            ``elapsed_time`` in seconds beside the means.
    """

    default_name = 'LogReport'
    trigger = 1, 'iteration'
    priority = extension.PRIORITY_READER

    def __init__(self, ranks: alone.Ranks = alone.ALONE) -> None:
        self.log = []
        self._ranks = ranks
        self._means = means.Means(ranks)

    def __call__(self, trainer: training.Trainer) -> None:
        # SerialIterator fills each batch of a training, and the evaluator
        # reports once, weighted already.
        self._means.add(trainer.observation)
        if not trainer.updater.is_new_epoch:
            return
        entry = {**self._means.compute_mean(),
                 'epoch': trainer.updater.epoch,
                 'iteration': trainer.updater.iteration,
                 'elapsed_time': trainer.elapsed_time}
        self.log.append(entry)
        self._means = means.Means(self._ranks)
        trainer.observation.update(entry)
        if self._ranks.is_first:
            with atomic.write(os.path.join(trainer.out, 'log')) as f:
                f.write(json.dumps(self.log, indent=4).encode())

    def serialize(self, serializer: Any) -> None:
        self.log = json.loads(str(serializer('log', json.dumps(self.log))))
        self._means.serialize(serializer['means'])
