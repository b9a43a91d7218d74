"""The gradient that stands for that of a quantizer."""
from chainer import function_node
from chainer.utils import type_check


class SurrogateGradient(function_node.FunctionNode):

    """An estimator applied to a gradient; see :func:`surrogate_gradient`."""

    def __init__(self, x, gradient, constant):
        super().__init__()
        self._x = x
        self._gradient = gradient
        self._constant = constant

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('gy',))
        type_check.expect(
            in_types[0].dtype == self._x.dtype,
            in_types[0].shape == self._x.shape)

    def forward(self, inputs):
        gy, = inputs
        return self._gradient(self._x, gy),

    def backward(self, indexes, grad_outputs):
        if not self._constant:
            raise NotImplementedError(
                'double backward through this surrogate gradient is not '
                'supported: its slope depends on x; use ste')
        return surrogate_gradient(
            grad_outputs[0], self._x, self._gradient, True),


def surrogate_gradient(gy, x, gradient, constant):
    """Multiplies a gradient with the slope of an estimator.

    Args:
        gy (~chainer.Variable or array): Gradient of the quantizer's output.
        x (array): Its input, of the shape and dtype of ``gy``.
        gradient (callable): Takes ``x`` and ``gy``, returns ``gx``; of
            :mod:`bnn.kernels`.
        constant (bool): Whether the slope is constant in ``x`` almost
            everywhere.

    Returns:
        ~chainer.Variable: Gradient of ``x``, linear in ``gy``.

    Raises:
        NotImplementedError: On double backward, if the slope is not constant.
    """
    return SurrogateGradient(x, gradient, constant).apply((gy,))[0]
