"""Binary activation with the straight-through estimator."""
from typing import Any

import chainer
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import elementwise


class BST(function_node.FunctionNode):
    """Sign, with hard tanh's gradient; see :func:`bst`."""

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x',))
        type_check.expect(in_types[0].dtype.kind == 'f')

    def forward(self, inputs):
        self.retain_inputs((0,))
        x, = inputs
        return elementwise.binarize(x),

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        gy, = grad_outputs
        return StraightThrough(x.array).apply((gy,))


class StraightThrough(function_node.FunctionNode):
    """The gradient of :class:`BST`: it passes where ``|x| <= 1``.

    A function of its own, so that double backward differentiates the
    estimator, which is linear in the gradient.
    """

    def __init__(self, x: Any) -> None:
        super().__init__()
        self._x = x

    def forward(self, inputs):
        gy, = inputs
        return elementwise.ste_gradient(self._x, gy),

    def backward(self, indexes, grad_outputs):
        return StraightThrough(self._x).apply(grad_outputs)


def bst(x: Any) -> chainer.Variable:
    r"""Binary activation: sign forward, straight-through backward.

    .. math::

        y = \begin{cases} +1 & x \ge 0 \\ -1 & x < 0 \end{cases}, \qquad
        \frac{\partial C}{\partial x} =
        \frac{\partial C}{\partial y} 1_{|x| \le 1}

    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Eqs. (1) and (4)).
    ``sign(0)`` is +1, and the gradient passes at ``|x| = 1``.  NaN gives -1
    and a zero gradient.

    Args:
        x (~chainer.Variable or array): Any shape; float16, 32 or 64.

    Returns:
        +1 and -1, of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` is not of a floating
            point dtype.

    .. rubric:: Example

    >>> bst(numpy.array([-2., -0.5, 0., 3.], 'f')).array
    array([-1., -1.,  1.,  1.], dtype=float32)
    """
    return BST().apply((x,))[0]
