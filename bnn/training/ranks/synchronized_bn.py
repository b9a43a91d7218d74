"""Batch normalization over the examples of all ranks."""
import functools
from typing import Any

import chainer
import chainer.links as L
import numpy

from bnn import errors
from bnn.chainer_ops import function_batch_normalization
from bnn.chainer_ops import link_batch_normalization
from bnn.training.ranks import alone


class SynchronizedBatchNormalization(
        function_batch_normalization.BatchNormalization):
    """Normalizes by the statistics of all ranks; see
    :func:`batch_normalization`.
    """

    def __init__(self, ranks: alone.Ranks, eps: float) -> None:
        super().__init__(eps)
        self._ranks = ranks

    def forward(self, inputs):
        self.retain_inputs((0, 1))
        x, gamma, beta = inputs
        axes = 0, *range(2, x.ndim)
        mean = x.mean(axis=axes, dtype=numpy.float64)
        # The mean of squares would lose digits that the variance has.
        d = x - _broadcast(mean, x)
        var = (d * d).mean(axis=axes, dtype=numpy.float64)
        mean, square = self._average(mean, var + mean * mean)
        var = square - mean * mean
        self.mean, self.var = mean.astype(x.dtype), var.astype(x.dtype)
        self._inv_std = (1 / numpy.sqrt(var + self.eps)).astype(x.dtype)
        y = self._normalize(x) * _broadcast(gamma, x) + _broadcast(beta, x)
        return y,

    def backward(self, indexes, grad_outputs):
        if chainer.config.enable_backprop:
            raise NotImplementedError(
                'batch normalization over ranks has no double backward')
        x, gamma = (v.array for v in self.get_retained_inputs())
        gy = grad_outputs[0].array
        axes = 0, *range(2, x.ndim)
        x_hat = self._normalize(x)
        # The loss of a rank is the mean over its share.  The mean of such
        # losses has the means of these sums as its gradients, and ChainerMN
        # takes the mean of equal numbers once more.
        gbeta, ggamma = self._average(
            gy.sum(axis=axes, dtype=numpy.float64),
            (gy * x_hat).sum(axis=axes, dtype=numpy.float64))
        gbeta, ggamma = gbeta.astype(x.dtype), ggamma.astype(x.dtype)
        m = x.size // gamma.size
        gx = _broadcast(gamma * self._inv_std, x) * (
            gy - (x_hat * _broadcast(ggamma, x) + _broadcast(gbeta, x)) / m)
        return [chainer.as_variable(g) for g in (gx, ggamma, gbeta)]

    def _average(self, *arrays):
        return self._ranks.average(
            chainer.backend.get_array_module(*arrays).stack(arrays))

    def _normalize(self, x):
        return (x - _broadcast(self.mean, x)) * _broadcast(self._inv_std, x)


def _broadcast(values, x):
    """Gives the values of channels the dtype and the axes of images."""
    return values.astype(x.dtype, copy=False).reshape(
        -1, *[1] * (x.ndim - 2))


def batch_normalization(
        ranks: alone.Ranks, x: Any, gamma: Any, beta: Any, eps: float = 2e-5,
        running_mean: Any = None, running_var: Any = None, decay: float = .9,
) -> chainer.Variable:
    r"""Batch normalization by the statistics of all ranks.

    The formula is that of
    :func:`~bnn.chainer_ops.function_batch_normalization.batch_normalization`
    with

    .. math::

        \mu = \frac{1}{n} \sum_r \mu_r, \quad
        \sigma^2 = \frac{1}{n} \sum_r (\sigma_r^2 + \mu_r^2) - \mu^2

    over the ``n`` ranks, in float64.  Each rank weighs the same.  In
    ChainerMN's the running variance is corrected as if the share of a rank
    were the batch; here ``m`` counts the values of all ranks.

    All ``ranks`` have to call this, each with its share of the batch.  The
    gradients of ``gamma`` and ``beta`` are the means over the ranks.  The
    other arguments, the result and the errors are those of that function.
    """
    return function_batch_normalization.apply(
        functools.partial(SynchronizedBatchNormalization, ranks), x, gamma,
        beta, eps, running_mean, running_var, decay, ranks.size)


def synchronize(model: chainer.Link, ranks: alone.Ranks) -> None:
    """Lets the batch normalizations of a model see all ranks' examples.

    A test, and statistics that are computed anew, stay those of one process.

    Args:
        model: The model, changed.
        ranks: The ranks.

    Raises:
        ~bnn.errors.UserError: If one of them is Chainer's own link, which
            cannot be told.
    """
    for name, link in model.namedlinks():
        if isinstance(link, link_batch_normalization.BatchNormalization):
            link.train_operation = functools.partial(
                batch_normalization, ranks)
        elif isinstance(link, L.BatchNormalization):
            raise errors.UserError(
                f"--multi-node-bn: {name} is Chainer's own batch "
                'normalization; take bnn.chainer_ops.link_batch_normalization')
