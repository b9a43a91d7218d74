"""Batch normalization and sign in one operation."""
import functools

import chainer

import bst
from bnn.chainer_ops import function_batch_normalization
from bnn.chainer_ops import link_batch_normalization
from bnn.kernels import batch_norm


class NormalizedSign(function_batch_normalization.BatchNormalization):
    """Signs of normalized values; see :func:`normalized_sign`.

    It keeps its inputs and the statistics, and none of the normalized values.
    """

    def normalize(self, x, gamma, beta):
        return batch_norm.normalized_signs(x, gamma, beta, self.eps)

    def differentiate(self, gy, x, gamma, beta):
        return batch_norm.normalized_signs_gradient(
            x, gy, gamma, beta, self.mean, self.inv_std)

    def by_functions(self, x, gamma, beta):
        return bst.bst(super().by_functions(x, gamma, beta))


def normalized_sign(
        x, bn: link_batch_normalization.BatchNormalization,
) -> chainer.Variable:
    r"""Batch normalization, then sign with the straight-through estimator.

    .. math::

        y = \mathrm{sign}(h), \qquad
        \frac{\partial C}{\partial h} =
        \frac{\partial C}{\partial y} 1_{|h| \le 1}, \qquad
        h = \mathrm{BN}(x)

    which is ``bst.bst(bn(x))``, to the bit forward.  In training on a CPU
    ``h`` is neither written nor kept: the backward computation finds it again
    from ``x``.  The gradients differ from those of ``bst.bst(bn(x))`` by the
    order of the additions at most, see
    :func:`bnn.kernels.batch_norm.normalized_signs_gradient`.  A gradient of
    ``y`` that is not finite is multiplied by 0 where :math:`|h| > 1`, which
    gives NaN; :func:`bst.bst` gives 0 there.  ``bn`` updates its running
    averages.

    In test mode, over ranks, on a GPU, and for dtypes other than float32 and
    64, it is ``bst.bst(bn(x))``.  Double backward is supported.

    Args:
        x (~chainer.Variable or array): (batch, channels, ...), of a float
            dtype.
        bn: The layer of batch normalization.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` does not fit ``bn``.
    """
    if bn.is_trained_by_kernels(x):
        return bn(x, operation=functools.partial(
            function_batch_normalization.apply, NormalizedSign))
    return bst.bst(bn(x))
