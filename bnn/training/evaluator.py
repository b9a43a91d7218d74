"""Evaluation weighted by examples, with running or batch statistics."""
import chainer
import numpy
from chainer import reporter
from chainer.training import extensions

from bnn.training import averages
from bnn.training import device_data
from bnn.training import statistics


class Evaluator(extensions.Evaluator):

    """Chainer's Evaluator with exact means and a choice of statistics.

    The means are added in float64 and weighted by the size of each batch.

    Args:
        feed (~bnn.training.data.Feed): One pass over the examples.
        target (~chainer.Link): The model.
        device (chainer.backend.Device): Where it is.
        test_statistics (str): ``'running'``: batch normalization uses the
            running statistics, the right way.  ``'batch'``: it uses those of
            the test batch itself, as binary_net did (its ``train = False``
            is commented out).  The model's running statistics stay as they
            are either way.
    """

    def __init__(self, feed, target, device, test_statistics='running'):
        super().__init__(
            feed.iterator, target, converter=feed.converter, device=device)
        self.test_statistics = test_statistics

    def evaluate(self):
        iterator = self._iterators['main']
        iterator.reset()
        target = self._targets['main']
        means = averages.Means()
        with chainer.no_backprop_mode():
            if self.test_statistics == 'batch':
                with statistics.of_the_batch(target):
                    self._add_batches(means, iterator, target)
            else:
                self._add_batches(means, iterator, target)
        return means.compute_mean()

    def test(self):
        """Tests the model outside a run.

        Returns:
            dict: ``'main/loss'`` and ``'main/accuracy'``.
        """
        # A trainer gives its evaluators a name, which their values get too.
        prefix = self.name + '/' if self.name else ''
        with numpy.errstate(over='ignore', invalid='ignore', divide='ignore'):
            return {name.removeprefix(prefix): value
                    for name, value in self().items()}

    def _batches(self, iterator):
        for batch in iterator:
            yield self.converter(batch, self.device)

    def _add_batches(self, means, iterator, target):
        for images, labels in self._batches(iterator):
            observation = {}
            if not len(labels):  # all of them broken
                continue
            with reporter.report_scope(observation):
                target(images, labels)
            means.add(observation, len(labels))


class DeviceEvaluator(Evaluator):

    """An evaluator whose examples are on the GPU, in large batches.

    It waits for the device once.  The batches are those of the feed where
    the result depends on them, with the statistics of each batch, and for
    convolutions, which take much memory.

    Args:
        feed, target, device, test_statistics: See :class:`Evaluator`.
    """

    _LEAST = 1000

    def __init__(self, feed, target, device, test_statistics='running'):
        super().__init__(feed, target, device, test_statistics)
        self._slices = None

    def _batches(self, iterator):
        if self._slices is None:
            n = iterator.batch_size
            if self.test_statistics != 'batch' and all(
                    param.ndim <= 2
                    for param in self._targets['main'].params(False)):
                n = max(n, self._LEAST)
            self._slices = device_data.Slices(
                self.converter.pixels, n, self.device)
        return self._slices
