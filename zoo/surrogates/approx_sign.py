"""Binary activation with the gradient of ApproxSign."""
import chainer

import bst
from bnn.kernels import elementwise
from zoo.surrogates import function_surrogate_gradient


class ApproxSign(bst.BST):
    """Sign with the gradient of ApproxSign; see :func:`approx_sign`."""

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        return function_surrogate_gradient.surrogate_gradient(
            grad_outputs[0], x.array, elementwise.approx_sign_gradient),


def approx_sign(x) -> chainer.Variable:
    r"""Binary activation: sign forward, derivative of ApproxSign backward.

    .. math::

        y = \begin{cases} +1 & x \ge 0 \\ -1 & x < 0 \end{cases}, \qquad
        \frac{\partial C}{\partial x} =
        \frac{\partial C}{\partial y} \, (2 - 2|x|) \, 1_{|x| \le 1}

    (`Bi-Real Net <https://arxiv.org/abs/1808.00278>`_, Eq. (7)).  The
    forward pass is that of :func:`bst.bst`.

    Args:
        x (~chainer.Variable or array): Any shape; float16, 32 or 64.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` is not of a floating
            point dtype.
        NotImplementedError: On double backward.
    """
    return ApproxSign().apply((x,))[0]
