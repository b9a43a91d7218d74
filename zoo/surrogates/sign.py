"""The sign, with a gradient by its name."""
import chainer

import bst
from bnn.kernels import elementwise
from zoo.surrogates import function_surrogate_gradient

#: Names of surrogate gradients; each takes x and gy and returns gx.
GRADIENTS = {
    'ste': elementwise.ste_gradient,
    'approx-sign': elementwise.approx_sign_gradient,
    'swish-sign': elementwise.swish_sign_gradient,
}


class SurrogateSign(bst.BST):
    """:class:`bst.BST` with another gradient; see :func:`sign`."""

    def __init__(self, surrogate: str):
        super().__init__()
        self._gradient = GRADIENTS[surrogate]

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        return function_surrogate_gradient.surrogate_gradient(
            grad_outputs[0], x.array, self._gradient),


def sign(x, surrogate: str = 'ste') -> chainer.Variable:
    r"""Binary activation with a surrogate gradient of choice.

    Forward it is :func:`bst.bst`.  In the gradient the derivative of the sign
    is

    ===============  =========================================================
    ``ste``          :math:`1_{|x| \le 1}`, as of :func:`bst.bst`
    ``approx-sign``  :math:`(2 - 2|x|) \, 1_{|x| \le 1}` (`Bi-Real Net
                     <https://arxiv.org/abs/1808.00278>`_, Eq. (7))
    ``swish-sign``   :math:`\frac{\beta (2 - \beta x \tanh(\beta x / 2))}{1 +
                     \cosh(\beta x)}` with :math:`\beta = 5` (`BNN+
                     <https://arxiv.org/abs/1812.11800>`_, Eqs. (5) and (6))
    ===============  =========================================================

    Args:
        x (~chainer.Variable or array): Any shape; float16, 32 or 64.
        surrogate (str): A name of the table.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``x``.

    Raises:
        ValueError: If there is no such surrogate.
        chainer.utils.type_check.InvalidType: If ``x`` is not of a floating
            point dtype.
        NotImplementedError: On double backward, except with ``ste``.
    """
    if surrogate not in GRADIENTS:
        raise ValueError(f'no surrogate gradient {surrogate!r}; '
                         f'there are: {", ".join(GRADIENTS)}')
    if surrogate == 'ste':
        return bst.bst(x)
    return SurrogateSign(surrogate).apply((x,))[0]
