"""Binary activation with the gradient of SwishSign."""
import chainer

from bnn.kernels import elementwise
from zoo.surrogates import function_surrogate_gradient


def swish_sign(x) -> chainer.Variable:
    r"""Binary activation: sign forward, derivative of SwishSign backward.

    .. math::

        y = \begin{cases} +1 & x \ge 0 \\ -1 & x < 0 \end{cases}, \qquad
        \frac{\partial C}{\partial x} = \frac{\partial C}{\partial y}
        \frac{\beta (2 - \beta x \tanh(\beta x / 2))}{1 + \cosh(\beta x)}

    with :math:`\beta = 5` (`BNN+ <https://arxiv.org/abs/1812.11800>`_,
    Eqs. (5) and (6)).  The forward pass is that of :func:`bst.bst`.

    Args:
        x (~chainer.Variable or array): Any shape; float16, 32 or 64.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` is not of a floating
            point dtype.
        NotImplementedError: On double backward.
    """
    return function_surrogate_gradient.SurrogateSign(
        elementwise.swish_sign_gradient).apply((x,))[0]
