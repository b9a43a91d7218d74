"""Linear operation on binarized weights."""
import math
from typing import Any

import chainer
import chainer.functions as F
from chainer import function_node
from chainer.utils import type_check

from bnn.chainer_ops import precision
from bnn.kernels import signs


class BinaryLinearFunction(function_node.FunctionNode):
    """Binarizes W and multiplies by it; see :func:`binary_linear`."""

    def check_type_forward(self, in_types):
        n_in = type_check.eval(in_types.size())
        type_check.expect(in_types.size() >= 2, in_types.size() <= 3)
        type_check._argname(in_types, ('x', 'W', 'b')[:n_in])
        x, W = in_types[:2]
        type_check.expect(
            x.dtype.kind == 'f', W.dtype == x.dtype, x.ndim == 2, W.ndim == 2)
        type_check.expect(x.shape[1] == W.shape[1])
        if n_in == 3:
            b = in_types[2]
            type_check.expect(b.dtype == x.dtype, b.ndim == 1)
            type_check.expect(b.shape[0] == W.shape[0])

    def forward(self, inputs):
        self.retain_inputs((0, 1))
        x, W = inputs[:2]
        # sign(W), once for this product and the one of the gradient
        self._Wb = signs.Signs(W)
        y = self._Wb.apply(x)  # x sign(W)^T
        if len(inputs) == 3:
            y += inputs[2]
        return y,

    def backward(self, indexes, grad_outputs):
        x, W = self.get_retained_inputs()
        gy, = grad_outputs
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            return self._differentiable(indexes, x, W, gy)
        gy, bits = gy.array, precision.get()
        gradients = (
            lambda: self._Wb.apply_transposed(gy, bits),       # gy sign(W)
            lambda: signs.weight_gradient(gy, x.array, bits),  # gy^T x
            lambda: gy.sum(axis=0))
        return [chainer.as_variable(gradients[i]()) for i in indexes]

    def _differentiable(self, indexes, x, W, gy):
        """Returns the same gradients as functions of x, W and gy."""
        gradients = (
            lambda: F.matmul(gy, StraightThroughSign(self._Wb.array).apply(
                (W,))[0]),
            lambda: F.matmul(gy, x, transa=True),
            lambda: F.sum(gy, axis=0))
        return [gradients[i]() for i in indexes]


class StraightThroughSign(function_node.FunctionNode):
    """sign(W) with the identity as gradient, for double backward.

    Args:
        Wb (array): sign(W).
    """

    def __init__(self, Wb: Any) -> None:
        super().__init__()
        self._Wb = Wb

    def forward(self, inputs):
        return self._Wb,

    def backward(self, indexes, grad_outputs):
        return grad_outputs


def binary_linear(x: Any, W: Any, b: Any = None) -> chainer.Variable:
    r"""Linear operation whose weights are binarized first.

    .. math::

        y = x \, \mathrm{sign}(W)^T + b, \qquad
        \frac{\partial C}{\partial W} :=
        \frac{\partial C}{\partial\, \mathrm{sign}(W)} =
        \left(\frac{\partial C}{\partial y}\right)^T x

    with ``sign(0) = +1``.  The gradient of the binary weight goes to the
    latent weight ``W`` as it is, without a mask
    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Algorithm 1); clip the
    latent weights after each update with
    :class:`~weight_clip.WeightClip`.  Double backward takes the same
    estimator for the derivative of the sign.

    Where ``x`` is +1 and -1 alone, the product is XNOR and popcount on packed
    bits, :mod:`bnn.kernels.signs`: the same result, sooner.  The products of
    the backward pass have the precision of :mod:`bnn.chainer_ops.precision`.

    Args:
        x (~chainer.Variable or array): Input, (batch, ...), 2 to N
            dimensions; flattened from axis 1.  float16, 32 or 64.
        W (~chainer.Variable or array): Latent weights, (out_size, in_size),
            of the dtype of ``x``.
        b (~chainer.Variable or array): Bias, (out_size,), added as it is.

    Returns:
        (batch, out_size), of the dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.

    .. rubric:: Example

    >>> x = numpy.array([[1., 2., 3.]], 'f')
    >>> W = numpy.array([[0.3, -0.1, 0.]], 'f')
    >>> binary_linear(x, W).array
    array([[2.]], dtype=float32)
    """
    args = (flatten(x), W) if b is None else (flatten(x), W, b)
    return BinaryLinearFunction().apply(args)[0]


def flatten(x: Any) -> Any:
    """Flattens a batch from axis 1.

    Args:
        x (~chainer.Variable or array): (batch, ...).

    Returns:
        (batch, inputs); ``x`` itself up to 2 dimensions.
    """
    if x.ndim <= 2:
        return x
    # The product, not -1, which reshape cannot tell for an empty batch.
    return x.reshape(len(x), math.prod(x.shape[1:]))
