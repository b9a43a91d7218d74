"""Evaluation weighted by examples, with running or batch statistics."""
import contextlib

import chainer
import numpy
from chainer import reporter
from chainer.training import extensions

from bnn.training.learning import batches
from bnn.training.learning import means
from bnn.training.learning import running_statistics
from bnn.training.ranks import alone


class Evaluator(extensions.Evaluator):
    """Chainer's Evaluator with exact means and a choice of statistics.

    The means are added in float64, weighted by the size of each batch, over
    the examples of all processes.

    Args:
        feed: One pass over the examples, or this process's share of them.
        target: The model.
        device: Where it is.
        test_statistics: ``'running'``: batch normalization uses the running
            statistics, the right way.  ``'batch'``: it uses those of the
            test batch itself, as binary_net did (its ``train = False`` is
            commented out).  The model's running statistics stay as they are
            either way.
        ranks: The processes of the run.
    """

    def __init__(self, feed: batches.Feed, target: chainer.Link,
                 device: chainer.backend.Device,
                 test_statistics: str = 'running',
                 ranks: alone.Ranks = alone.ALONE) -> None:
        super().__init__(
            feed.iterator, target, converter=feed.converter, device=device)
        self.test_statistics = test_statistics
        self._ranks = ranks

    def evaluate(self) -> dict[str, float]:
        iterator = self._iterators['main']
        iterator.reset()
        target = self._targets['main']
        self._ranks.average_statistics(target)
        found = means.Means(self._ranks)
        with (chainer.no_backprop_mode(),
              running_statistics.of_the_batch(target)
              if self.test_statistics == 'batch'
              else contextlib.nullcontext()):
            # Chainer's iterator divides by the number of examples.
            for batch in iterator if len(iterator.dataset) else ():
                images, labels = self.converter(batch, self.device)
                if not len(labels):  # all of them broken
                    continue
                observation = {}
                with reporter.report_scope(observation):
                    target(images, labels)
                found.add(observation, len(labels))
        self._ranks.exchange_broken(iterator)
        return found.compute_mean()

    def test(self) -> dict[str, float]:
        """Tests the model outside a run.

        Returns:
            ``'main/loss'``, ``'main/accuracy'`` and what else the model
            reports.
        """
        # A trainer gives its evaluators a name, which their values get too.
        prefix = self.name + '/' if self.name else ''
        with numpy.errstate(over='ignore', invalid='ignore', divide='ignore'):
            return {name.removeprefix(prefix): value
                    for name, value in self().items()}
