"""Binary activation with the gradient of ApproxSign."""
import chainer

from bnn.kernels import elementwise
from zoo.surrogates import function_surrogate_gradient


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
    return function_surrogate_gradient.SurrogateSign(
        elementwise.approx_sign_gradient).apply((x,))[0]
