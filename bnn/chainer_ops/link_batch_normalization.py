"""Batch normalization in few passes."""
import chainer
import chainer.links as L
import numpy
from chainer.backends import cuda

from bnn.chainer_ops import function_batch_normalization


class BatchNormalization(L.BatchNormalization):

    """Chainer's batch normalization, in few passes.

    Parameters, running averages and arguments are Chainer's, and so are the
    results, up to float32 rounding, see
    :mod:`bnn.chainer_ops.function_batch_normalization`.  Elsewhere than on
    NumPy's and CuPy's arrays of float32 or 64 it is Chainer's.
    """

    def forward(self, x, **kwargs):
        """Applies the layer.

        Args:
            x (~chainer.Variable or array): (batch, channels, ...).
            kwargs: ``finetune``, see Chainer's.

        Returns:
            ~chainer.Variable: Of the shape and dtype of ``x``.
        """
        train = chainer.config.train
        if not self._is_fast(x) or not train and (
                chainer.config.enable_backprop):
            return super().forward(x, **kwargs)
        gamma, beta = self.gamma, self.beta
        if gamma is None:
            gamma = self.xp.ones_like(self.avg_mean)
        if beta is None:
            beta = self.xp.zeros_like(self.avg_mean)
        if not train:
            return function_batch_normalization.fixed_batch_normalization(
                x, *map(chainer.as_array, (gamma, beta)), self.avg_mean,
                self.avg_var, self.eps)
        averages = {}
        if not chainer.config.in_recomputing:
            decay = self.decay
            if kwargs.get('finetune'):
                self.N += 1
                decay = 1 - 1 / self.N
            averages = {'running_mean': self.avg_mean,
                        'running_var': self.avg_var, 'decay': decay}
        return function_batch_normalization.batch_normalization(
            x, gamma, beta, self.eps, **averages)

    def _is_fast(self, x):
        x, mean = chainer.as_array(x), self.avg_mean
        return (type(x) in (numpy.ndarray, cuda.ndarray) and x.ndim >= 2
                and x.dtype in (numpy.float32, numpy.float64)
                and isinstance(mean, type(x)) and mean.ndim == 1
                and mean.dtype == x.dtype
                # More than one value: Chainer warns.
                and x.size > mean.size == x.shape[1])
