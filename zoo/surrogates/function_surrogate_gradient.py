"""Slopes that stand for the derivative of a quantizer."""
from collections.abc import Callable

import chainer
from chainer import function_node
from chainer.utils import type_check


class SurrogateGradient(function_node.FunctionNode):
    """Gradient of a quantizer; see :func:`surrogate_gradient`."""

    def __init__(self, x, gradient, is_constant):
        super().__init__()
        self._x = x
        self._gradient = gradient
        self._is_constant = is_constant

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('gy',))
        type_check.expect(
            in_types[0].dtype == self._x.dtype,
            in_types[0].shape == self._x.shape)

    def forward(self, inputs):
        gy, = inputs
        return self._gradient(self._x, gy),

    def backward(self, indexes, grad_outputs):
        if not self._is_constant:
            raise NotImplementedError(
                'double backward through this surrogate gradient is not '
                'supported: its slope depends on x; use ste')
        # The gradient is linear in gy.
        return SurrogateGradient(
            self._x, self._gradient, True).apply(grad_outputs)


def surrogate_gradient(gy, x, gradient: Callable,
                       is_constant: bool = False) -> chainer.Variable:
    """Multiplies a gradient by the slope of an estimator.

    Args:
        gy (~chainer.Variable or array): Gradient of the quantizer's output.
        x (array): The quantizer's input, of the shape and dtype of ``gy``.
        gradient (callable): Takes ``x`` and ``gy`` as arrays, returns the
            gradient of ``x``; from :mod:`bnn.kernels.elementwise`.
        is_constant (bool): Whether the slope is constant in ``x`` almost
            everywhere.

    Returns:
        ~chainer.Variable: Gradient of ``x``.

    Raises:
        NotImplementedError: On double backward, if the slope is not constant.
    """
    return SurrogateGradient(x, gradient, is_constant).apply((gy,))[0]
