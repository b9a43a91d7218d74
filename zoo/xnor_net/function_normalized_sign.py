"""Batch normalization and sign in one operation."""
import chainer
import chainer.functions as F

import bst
from bnn.chainer_ops import function_batch_normalization
from bnn.chainer_ops import link_batch_normalization
from bnn.kernels import batch_norm


class NormalizedSign(function_batch_normalization.BatchNormalization):
    """Signs of normalized values; see :func:`normalized_sign`.

    It keeps its inputs and the statistics, and none of the normalized values.
    """

    def forward_cpu(self, inputs):
        self.retain_inputs((0, 1, 2))
        y, self.mean, self.var, self._inv_std = batch_norm.normalized_signs(
            *inputs, self.eps)
        return y,

    def backward(self, indexes, grad_outputs):
        inputs = self.get_retained_inputs()
        gy, = grad_outputs
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            y = bst.bst(F.batch_normalization(*inputs, eps=self.eps))
            return chainer.grad([y], inputs, [gy],
                                enable_double_backprop=True)
        return [chainer.as_variable(g) for g in (
            batch_norm.normalized_signs_gradient(
                inputs[0].array, gy.array, *(v.array for v in inputs[1:]),
                self.mean, self._inv_std))]


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
    :func:`bnn.kernels.batch_norm.normalized_signs_gradient`.  ``bn`` updates
    its running averages.

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
        return bn(x, operation=_normalized_sign)
    return bst.bst(bn(x))


def _normalized_sign(x, gamma, beta, eps, running_mean=None,
                     running_var=None, decay=.9):
    return function_batch_normalization.apply(
        NormalizedSign(eps), x, gamma, beta, running_mean, running_var, decay)
