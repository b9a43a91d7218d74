"""ReLU of NumPy arrays, in one pass."""
from __future__ import annotations

import chainer
import chainer.functions as F
import numpy
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import elementwise


class ReLU(function_node.FunctionNode):
    """Takes what is positive; see :func:`relu`."""

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1)
        type_check.expect(in_types[0].dtype.kind == 'f')

    def forward_cpu(self, inputs):
        self.retain_outputs((0,))
        return elementwise.relu(inputs[0]),

    def backward(self, indexes, grad_outputs):
        y, = self.get_retained_outputs()
        return ReLUGradient(y.array).apply(grad_outputs)


class ReLUGradient(function_node.FunctionNode):
    """The gradient of :class:`ReLU`, which is linear in ``gy``."""

    def __init__(self, y: numpy.ndarray):
        super().__init__()
        self._y = y

    def forward_cpu(self, inputs):
        return elementwise.relu_gradient(self._y, inputs[0]),

    def backward(self, indexes, grad_outputs):
        return ReLUGradient(self._y).apply(grad_outputs)


def relu(x: chainer.Variable | numpy.ndarray) -> chainer.Variable:
    r"""Rectified linear unit.

    .. math::

        y = \max(0, x), \qquad
        \frac{\partial C}{\partial x} =
        \frac{\partial C}{\partial y} 1_{y > 0}

    The result and the gradients, that of the gradient too, are those of
    :func:`chainer.functions.relu`, NaN included.  NumPy arrays of float32 and
    64 take one pass each way; others go to Chainer.

    Args:
        x: Any shape, any float dtype.

    Returns:
        Of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` is not of a floating
            point dtype.
    """
    array = chainer.as_array(x)
    if (type(array) is not numpy.ndarray
            or array.dtype not in (numpy.float32, numpy.float64)):
        return F.relu(x)
    return ReLU().apply((x,))[0]
