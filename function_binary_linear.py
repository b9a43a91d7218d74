"""Linear operation on binarized weights."""
import math

import chainer
import chainer.functions as F
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import signs


class BinaryLinearFunction(function_node.FunctionNode):
    """Binarizes W and applies it; see :func:`binary_linear`."""

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
        x, W = inputs[:2]
        self.retain_inputs((0, 1))
        # Kept for backward, which needs the same signs again.
        self._W = signs.Signs(W)
        y = self._W.apply(x)
        if len(inputs) == 3:
            y += inputs[2]
        return y,

    def backward(self, indexes, grad_outputs):
        x, W = self.get_retained_inputs()
        gy, = grad_outputs
        if not chainer.config.enable_backprop:  # nobody differentiates this
            gy = gy.array
            gradients = (
                lambda: self._W.apply_transposed(gy),
                lambda: signs.weight_gradient(gy, x.array),
                lambda: gy.sum(axis=0))
            return [chainer.as_variable(gradients[i]()) for i in indexes]
        ret = []
        if 0 in indexes:
            binary_W, = _StraightThrough(self._W.array).apply((W,))
            ret.append(F.matmul(gy, binary_W))
        if 1 in indexes:
            ret.append(F.matmul(gy, x, transa=True))
        if 2 in indexes:
            ret.append(F.sum(gy, axis=0))
        return ret


class _StraightThrough(function_node.FunctionNode):
    """A value that was computed from W, with the identity as gradient."""

    def __init__(self, value):
        super().__init__()
        self._value = value

    def forward(self, inputs):
        return self._value,

    def backward(self, indexes, grad_outputs):
        return grad_outputs


def binary_linear(x, W, b=None):
    r"""Linear operation whose weights are binarized first.

    ``y = x sign(W)^T + b``; the gradient of the binary weight goes to ``W``
    as it is (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Algorithm 1).

    Args:
        x (~chainer.Variable or array): Input, (batch, ...), flattened from
            axis 1.
        W (~chainer.Variable or array): Latent weights, (out_size, in_size).
        b (~chainer.Variable or array): Bias, (out_size,).

    Returns:
        ~chainer.Variable: (batch, out_size).
    """
    x = flatten(x)
    return BinaryLinearFunction().apply(
        (x, W) if b is None else (x, W, b))[0]


def flatten(x):
    """Flattens a batch from axis 1."""
    if x.ndim <= 2:
        return x
    # The product, not -1, which reshape cannot tell for an empty batch.
    return x.reshape(len(x), math.prod(x.shape[1:]))
