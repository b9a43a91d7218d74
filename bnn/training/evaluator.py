"""Evaluation weighted by examples, with running or batch statistics."""
import chainer
import chainer.links as L
from chainer import reporter
from chainer.training import extensions

from bnn.training import averages


class Evaluator(extensions.Evaluator):

    """Chainer's Evaluator with exact means and a choice of statistics.

    The means are added in float64 and weighted by the size of each batch.

    Args:
        iterator, target, converter, device: As Chainer's.
        statistics (str): ``'running'``: batch normalization uses the running
            statistics, the right way.  ``'batch'``: it uses those of the test
            batch itself, as binary_net did (its ``train = False`` is
            commented out).  The model's running statistics stay as they are
            either way.
    """

    def __init__(self, iterator, target, converter, device,
                 statistics='running'):
        super().__init__(iterator, target, converter=converter, device=device)
        self.statistics = statistics

    def evaluate(self):
        iterator = self._iterators['main']
        iterator.reset()
        target = self._targets['main']
        means = averages.Means()
        with chainer.no_backprop_mode():
            if self.statistics == 'batch':
                with _BatchStatistics(target):
                    self._add_batches(means, iterator, target)
            else:
                self._add_batches(means, iterator, target)
        return means.compute_mean()

    def _add_batches(self, means, iterator, target):
        for batch in iterator:
            observation = {}
            with reporter.report_scope(observation):
                target(*self.converter(batch, self.device))
            means.add(observation, len(batch))


class _BatchStatistics(chainer.LinkHook):

    """Batch normalization of a model under test as in training.

    Only of it: dropout stays off, which a ``train`` flag for the whole net
    would turn on.  What training would have done to the running statistics
    is undone at the end.
    """

    name = 'BatchStatistics'

    def __init__(self, model):
        super().__init__()
        self._links = [link for link in model.links()
                       if isinstance(link, L.BatchNormalization)]

    def added(self, link):
        self._saved = [(link.avg_mean.copy(), link.avg_var.copy(), link.N)
                       for link in self._links]

    def deleted(self, link):
        for bn, (mean, var, n) in zip(self._links, self._saved, strict=True):
            bn.avg_mean[...] = mean
            bn.avg_var[...] = var
            bn.N = n

    def forward_preprocess(self, args):
        if isinstance(args.link, L.BatchNormalization):
            chainer.config.train = True

    def forward_postprocess(self, args):
        if isinstance(args.link, L.BatchNormalization):
            chainer.config.train = False
