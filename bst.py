"""Binary activation with the straight-through estimator."""
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import elementwise


class BST(function_node.FunctionNode):
    """Sign with the straight-through gradient; see :func:`bst`."""

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x',))
        type_check.expect(in_types[0].dtype.kind == 'f')

    def forward(self, inputs):
        self.retain_inputs((0,))
        x, = inputs
        return elementwise.binarize(x),

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        return BSTGradient(x.array).apply(grad_outputs)


class BSTGradient(function_node.FunctionNode):
    """Passes a gradient where abs(x) <= 1, which is linear in it."""

    def __init__(self, x):
        super().__init__()
        self._x = x

    def forward(self, inputs):
        gy, = inputs
        return elementwise.ste_gradient(self._x, gy),

    def backward(self, indexes, grad_outputs):
        return BSTGradient(self._x).apply(grad_outputs)


def bst(x):
    r"""Binary activation: sign forward, straight-through backward.

    .. math::

        y = \begin{cases} +1 & x \ge 0 \\ -1 & x < 0 \end{cases}, \qquad
        \frac{\partial C}{\partial x} =
        \frac{\partial C}{\partial y} 1_{|x| \le 1}

    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Eqs. (1) and (4)).

    Args:
        x (~chainer.Variable or array): Any shape; float16, 32 or 64.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``x``.
    """
    return BST().apply((x,))[0]
