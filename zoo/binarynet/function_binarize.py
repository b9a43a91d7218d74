"""Binary weights with a gradient to the latent ones, for any operation."""
import chainer
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import elementwise


class Binarize(function_node.FunctionNode):
    """Signs with the identity as gradient; see :func:`binarize`."""

    def __init__(self, stochastic=False):
        super().__init__()
        self.stochastic = stochastic

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('W',))
        type_check.expect(in_types[0].dtype.kind == 'f')

    def forward(self, inputs):
        W, = inputs
        if self.stochastic:
            return elementwise.stochastic_binarize(
                W, elementwise.draw_key()),
        return elementwise.binarize(W),

    def backward(self, indexes, grad_outputs):
        return grad_outputs


def binarize(W, stochastic: bool = False) -> chainer.Variable:
    r"""Signs of weights, whose gradient goes to the latent weights as it is.

    .. math::

        W_b = \mathrm{sign}(W), \qquad
        \frac{\partial C}{\partial W} := \frac{\partial C}{\partial W_b}

    with ``sign(0) = +1`` (`BinaryNet <https://arxiv.org/abs/1602.02830>`_,
    Eq. (1) and Algorithm 1).  A drawn sign is +1 with probability
    clip((W + 1) / 2, 0, 1) (Eq. (2)).

    Args:
        W (~chainer.Variable or array): Latent weights, any shape; float16,
            32 or 64.
        stochastic (bool): If ``True``, the signs are drawn, see
            :func:`bnn.kernels.elementwise.stochastic_binarize`.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``W``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``W`` is not of a floating
            point dtype.
    """
    return Binarize(stochastic).apply((W,))[0]
