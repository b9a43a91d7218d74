"""Batch normalization over the examples of all ranks."""
import chainer
import chainer.links as L
import numpy
from chainer.functions.normalization import batch_normalization

from bnn.training import collective


class MultiNodeBatchNormalization(L.BatchNormalization):

    """Chainer's batch normalization with the statistics of all ranks.

    Unlike ChainerMN's it is one of Chainer's links to those who look for
    them, its running variance is the one of a single process with the whole
    batch (ChainerMN's is unbiased as for a rank's share), and the variance of
    a batch is not computed as a difference of two large float32 numbers.

    Where no gradient is computed it is Chainer's: a test takes no statistics,
    and a rank that does (``statistics``) has all the examples.
    """

    comm = None

    def forward(self, x, **kwargs):
        if not (chainer.config.train and chainer.config.enable_backprop):
            return super().forward(x, **kwargs)
        with _Shared(self.comm):
            return super().forward(x, **kwargs)


def synchronize(model, comm):
    """Makes the batch normalizations of a model see all ranks' examples.

    Parameters and running statistics stay the objects that they are, under
    their names.

    Args:
        model (~chainer.Link): The model, changed.
        comm (chainermn.CommunicatorBase): The communicator.
    """
    for link in model.links():
        if isinstance(link, L.BatchNormalization):
            # It has no state of its own beside the communicator.
            link.__class__ = MultiNodeBatchNormalization
            link.comm = comm


class _Shared(chainer.FunctionHook):

    """Puts the implementation into Chainer's function."""

    name = 'MultiNodeBatchNormalization'

    def __init__(self, comm):
        self._impl = _Impl(comm)

    def forward_preprocess(self, function, in_data):
        function._impl_selector = lambda *_: self._impl


class _Impl(batch_normalization.GeneralBatchNormalizationImpl):

    def __init__(self, comm):
        self._comm = comm

    def forward(self, axis, gamma, x, x_layout, xp, expander, beta, eps,
                decay, running_mean, running_var):
        """See Chainer's.

        The unbiased variance is that of the batch of all ranks: Chainer's
        factor m / (m - 1) has the m of this rank.
        """
        result = super().forward(
            axis, gamma, x, x_layout, xp, expander, beta, eps, decay,
            None, None)
        y, layout, _, _, mean, var, inv_std, data = result
        if running_mean is not None:
            m = x.size // gamma.size * self._comm.size
            running_mean *= decay
            running_mean += (1 - decay) * mean
            running_var *= decay
            running_var += (1 - decay) * m / max(m - 1, 1) * var
        return y, layout, running_mean, running_var, mean, var, inv_std, data

    def get_mean_and_var(self, axis, gamma, x, xp, interm_dtype):
        mean, var = super().get_mean_and_var(axis, gamma, x, xp, interm_dtype)
        mean = mean.astype(numpy.float64)
        mean, square = collective.average(
            self._comm, xp.stack([mean, var + mean * mean]))
        return (mean.astype(interm_dtype),
                (square - mean * mean).astype(interm_dtype))

    def get_ggamma_and_gbeta(self, axis, gamma, gy, x_hat, xp):
        # ChainerMN's optimizer averages once more, which changes nothing.
        gbeta, ggamma = super().get_ggamma_and_gbeta(
            axis, gamma, gy, x_hat, xp)
        gbeta, ggamma = collective.average(
            self._comm, xp.stack([gbeta, ggamma]).astype(numpy.float64))
        return gbeta.astype(gamma.dtype), ggamma.astype(gamma.dtype)
