"""Batch normalization in few passes."""
import chainer
import chainer.functions as F
import numpy
from chainer import function_node
from chainer.utils import type_check

from bnn import kernels


class BatchNormalization(function_node.FunctionNode):

    """Normalizes by the statistics of a batch; see
    :func:`batch_normalization`.
    """

    def __init__(self, eps):
        super().__init__()
        self.eps = eps
        self.mean = self.var = None

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x', 'gamma', 'beta'))
        x, gamma, beta = in_types
        type_check.expect(
            x.dtype.kind == 'f', x.ndim >= 2)
        type_check.expect(
            gamma.dtype == x.dtype, beta.dtype == x.dtype,
            gamma.ndim == 1, gamma.shape[0] == x.shape[1],
            beta.shape == gamma.shape)

    def forward(self, inputs):
        self.retain_inputs((0, 1, 2))
        y, self.mean, self.var, self._inv_std = kernels.batch_norm(
            *inputs, self.eps)
        return y,

    def backward(self, indexes, grad_outputs):
        inputs = self.get_retained_inputs()
        gy, = grad_outputs
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            y = F.batch_normalization(*inputs, eps=self.eps)
            return chainer.grad(
                [y], inputs, [gy], enable_double_backprop=True)
        x, gamma, beta = (v.array for v in inputs)
        return [chainer.as_variable(g) for g in kernels.batch_norm_gradient(
            x, gy.array, gamma, beta, self.mean, self._inv_std)]


def batch_normalization(x, gamma, beta, eps=2e-5, running_mean=None,
                        running_var=None, decay=.9):
    r"""Batch normalization with the sums in float64.

    .. math::

        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    with the mean and the variance of the batch for each channel
    (`1502.03167 <https://arxiv.org/abs/1502.03167>`_, Algorithm 1), as
    :func:`chainer.functions.batch_normalization` has it, but with sums in
    float64.  Double backward is supported.

    Args:
        x (~chainer.Variable or array): (batch, channels, ...), float32 or
            64, of NumPy or CuPy.
        gamma, beta (~chainer.Variable or array): (channels,).
        eps (float): Added to the variance.
        running_mean, running_var (array or None): Moving averages of mean
            and unbiased variance, changed in place.
        decay (float): Share of the old average that stays.

    Returns:
        ~chainer.Variable: Of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    function = BatchNormalization(eps)
    y, = function.apply((x, gamma, beta))
    if running_mean is not None:
        kernels.moving_averages(
            running_mean, running_var, function.mean, function.var,
            x.size // function.mean.size, decay)
    return y


def fixed_batch_normalization(x, gamma, beta, mean, var, eps=2e-5):
    """The same with given statistics, for tests: without a gradient.

    Args:
        x (~chainer.Variable or array): (batch, channels, ...), float32 or
            64, of NumPy or CuPy.
        gamma, beta, mean, var (array): (channels,).
        eps (float): Added to the variance.

    Returns:
        ~chainer.Variable: Of the shape and dtype of ``x``.
    """
    inv_std = (1 / numpy.sqrt(var.astype(numpy.float64) + eps)).astype(
        var.dtype)
    return chainer.Variable(kernels.normalize(
        chainer.as_array(x), gamma, beta, mean, inv_std),
        requires_grad=False)
