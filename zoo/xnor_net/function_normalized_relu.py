"""Batch normalization and ReLU in one operation."""
import functools

import chainer

from bnn.chainer_ops import function_batch_normalization
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.kernels import batch_norm


class NormalizedReLU(function_batch_normalization.BatchNormalization):
    """What is positive of normalized values; see :func:`normalized_relu`.

    It keeps its inputs and the statistics, and none of the normalized values.
    """

    def normalize(self, x, gamma, beta):
        return batch_norm.normalized_relu(x, gamma, beta, self.eps)

    def differentiate(self, gy, x, gamma, beta):
        return batch_norm.normalized_relu_gradient(
            x, gy, gamma, beta, self.mean, self.inv_std)

    def by_functions(self, x, gamma, beta):
        return function_relu.relu(super().by_functions(x, gamma, beta))


def normalized_relu(
        x, bn: link_batch_normalization.BatchNormalization,
) -> chainer.Variable:
    r"""Batch normalization, then ReLU.

    :math:`y = \max(0, \mathrm{BN}(x))`, which is ``relu(bn(x))``, to the bit
    forward.  In training on a CPU no pass over memory is for ReLU alone.  The
    gradients differ from those of ``relu(bn(x))`` by the order of the
    additions at most, see
    :func:`bnn.kernels.batch_norm.normalized_signs_gradient`.

    In test mode, over ranks, on a GPU, and for dtypes other than float32 and
    64, it is ``relu(bn(x))``.  Double backward is supported.

    Args:
        x (~chainer.Variable or array): (batch, channels, ...), of a float
            dtype.
        bn: The layer of batch normalization, which updates its running
            averages.

    Returns:
        ~chainer.Variable: Of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` does not fit ``bn``.
    """
    if bn.is_trained_by_kernels(x):
        return bn(x, operation=functools.partial(
            function_batch_normalization.apply, NormalizedReLU))
    return function_relu.relu(bn(x))
