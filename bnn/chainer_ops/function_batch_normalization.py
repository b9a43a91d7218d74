"""Batch normalization of NumPy arrays, in few passes."""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import chainer
import chainer.functions as F
import numpy
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import batch_norm


class BatchNormalization(function_node.FunctionNode):
    """Normalizes by the statistics of a batch; see
    :func:`batch_normalization`.
    """

    def __init__(self, eps: float):
        super().__init__()
        self.eps = eps
        self.mean = self.var = None

    def check_type_forward(self, in_types):
        x, gamma, beta = in_types[:3]
        type_check.expect(
            x.dtype.kind == 'f', x.ndim >= 2)
        type_check.expect(
            gamma.dtype == x.dtype, beta.dtype == x.dtype,
            gamma.ndim == 1, gamma.shape[0] == x.shape[1],
            beta.shape == gamma.shape)

    def forward_cpu(self, inputs):
        self.retain_inputs((0, 1, 2))
        y, self.mean, self.var, self.inv_std = self.normalize(*inputs)
        return y,

    def backward(self, indexes, grad_outputs):
        inputs = self.get_retained_inputs()
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            return chainer.grad([self.by_functions(*inputs)], inputs,
                                grad_outputs, enable_double_backprop=True)
        return [chainer.as_variable(g) for g in self.differentiate(
            grad_outputs[0].array, *(v.array for v in inputs))]

    # A subclass overrides these three.

    def normalize(self, x, gamma, beta):
        """Computes the result and the statistics."""
        return batch_norm.batch_norm(x, gamma, beta, self.eps)

    def differentiate(self, gy, x, gamma, beta):
        """Computes the gradients of the inputs."""
        return batch_norm.batch_norm_gradient(
            x, gy, gamma, self.mean, self.inv_std)

    def by_functions(self, x, gamma, beta):
        """Computes the result so that gradients have gradients."""
        return F.batch_normalization(x, gamma, beta, eps=self.eps)


def batch_normalization(
        x: chainer.Variable | numpy.ndarray,
        gamma: chainer.Variable | numpy.ndarray,
        beta: chainer.Variable | numpy.ndarray,
        eps: float = 2e-5,
        running_mean: numpy.ndarray | None = None,
        running_var: numpy.ndarray | None = None,
        decay: float = .9) -> chainer.Variable:
    r"""Batch normalization.

    .. math::

        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    with the mean and the variance of the batch for each channel
    (`1502.03167 <https://arxiv.org/abs/1502.03167>`_, Algorithm 1), as
    :func:`chainer.functions.batch_normalization` has it, but with sums in
    float64.  Double backward is supported.

    Args:
        x: NumPy array or a variable of one, (batch, channels, ...), float32
            or 64.
        gamma: (channels,), of the dtype of ``x``.
        beta: As ``gamma``.
        eps: Added to the variance.
        running_mean: Moving average of the mean, changed in place.
        running_var: Moving average of the unbiased variance, changed in
            place.
        decay: Share of the old average that stays.

    Returns:
        Of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    return apply(BatchNormalization, x, gamma, beta, eps, running_mean,
                 running_var, decay)


def apply(make: Callable[[float], BatchNormalization],
          x: chainer.Variable | numpy.ndarray,
          gamma: chainer.Variable | numpy.ndarray,
          beta: chainer.Variable | numpy.ndarray,
          eps: float = 2e-5,
          running_mean: numpy.ndarray | None = None,
          running_var: numpy.ndarray | None = None,
          decay: float = .9, n_ranks: int = 1,
          operands: Sequence[chainer.Variable] = ()) -> chainer.Variable:
    """Applies a function and updates the averages by its statistics.

    Args:
        make: Makes it of ``eps``: :class:`BatchNormalization` or a subclass.
        x, gamma, beta, eps, running_mean, running_var, decay: See
            :func:`batch_normalization`.
        n_ranks: Ranks that the statistics are over.
        operands: What the function takes besides.

    Returns:
        What the function computes.
    """
    function = make(eps)
    y, = function.apply((x, gamma, beta, *operands))
    if running_mean is not None:
        batch_norm.moving_averages(
            running_mean, running_var, function.mean, function.var,
            x.size // function.mean.size * n_ranks, decay)
    return y


def fixed_batch_normalization(
        x: chainer.Variable | numpy.ndarray, gamma: numpy.ndarray,
        beta: numpy.ndarray, mean: numpy.ndarray, var: numpy.ndarray,
        eps: float = 2e-5) -> chainer.Variable:
    """Batch normalization by given statistics, without a gradient.

    Args:
        x: NumPy array or a variable of one, (batch, channels, ...), float32
            or 64.
        gamma: (channels,), of the dtype of ``x``.
        beta: As ``gamma``.
        mean: As ``gamma``.
        var: As ``gamma``.
        eps: Added to the variance.

    Returns:
        Of the shape and dtype of ``x``.
    """
    inv_std = (1 / numpy.sqrt(var.astype(numpy.float64) + eps)).astype(
        var.dtype)
    return chainer.Variable(batch_norm.normalize(
        chainer.as_array(x), gamma, beta, mean, inv_std),
        requires_grad=False)
