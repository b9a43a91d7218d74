"""Binary activation with the straight-through estimator."""
import chainer
from chainer import function_node
from chainer.utils import type_check

from bnn import kernels
from zoo.surrogates import function_surrogate_gradient

SURROGATES = {
    'ste': kernels.ste_gradient,
    'approx-sign': kernels.approx_sign_gradient,
    'swish-sign': kernels.swish_sign_gradient,
}


class BST(function_node.FunctionNode):

    """Sign with a surrogate gradient; see :func:`bst`."""

    def __init__(self, surrogate='ste'):
        super().__init__()
        if surrogate not in SURROGATES:
            raise ValueError('no surrogate gradient %r; there are: %s'
                             % (surrogate, ', '.join(SURROGATES)))
        self._gradient = SURROGATES[surrogate]

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x',))
        type_check.expect(in_types[0].dtype.kind == 'f')

    def forward(self, inputs):
        self.retain_inputs((0,))
        x, = inputs
        return kernels.binarize(x),

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        return function_surrogate_gradient.surrogate_gradient(
            grad_outputs[0], x.array, self._gradient,
            constant=self._gradient is kernels.ste_gradient),


def bst(x, surrogate='ste'):
    r"""Binary activation: sign forward, straight-through backward.

    .. math::

        y = \begin{cases} +1 & x \ge 0 \\ -1 & x < 0 \end{cases}, \qquad
        \frac{\partial C}{\partial x} =
        \frac{\partial C}{\partial y} 1_{|x| \le 1}

    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Eqs. (1) and (4)).
    ``sign(0)`` is +1 and the gradient passes at ``|x| = 1``.  NaN gives -1
    and a zero gradient.  Double backward differentiates the estimator, whose
    slope is a constant for ``'ste'``; for the others it is refused.

    Args:
        x (~chainer.Variable or array): Any shape; float16, 32 or 64.
        surrogate (str): What stands for the derivative of the sign:
            ``'ste'``, the above; ``'approx-sign'``, 2 - 2|x| inside [-1, 1]
            (`Bi-Real Net <https://arxiv.org/abs/1808.00278>`_);
            ``'swish-sign'``, the derivative of SwishSign with beta = 5
            (`BNN+ <https://arxiv.org/abs/1812.11800>`_).

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` is not of a floating
            point dtype.
        ValueError: If there is no such surrogate.

    .. rubric:: Example

    >>> bst(numpy.array([-2., -0.5, 0., 3.], 'f')).array
    array([-1., -1.,  1.,  1.], dtype=float32)
    """
    return mark(BST(surrogate).apply((x,))[0])


def mark(x):
    """Declares that a variable is +1 and -1 alone.

    The layers multiply its packed signs then, which gives the same result
    sooner.  In Chainer's debug mode they look.

    Args:
        x (~chainer.Variable): The variable, marked.

    Returns:
        ~chainer.Variable: ``x``.
    """
    x.is_binary = True
    return x


def is_binary(x):
    """Tells whether something was declared to be +1 and -1 alone.

    Args:
        x (~chainer.Variable or array): What a layer takes.

    Returns:
        bool: Whether it is marked.

    Raises:
        ValueError: In debug mode, if it is marked and has other values.
    """
    is_marked = getattr(x, 'is_binary', False)
    if is_marked and chainer.is_debug():
        xp = chainer.backend.get_array_module(x)
        if not (xp.abs(x.array) == 1).all():
            raise ValueError('an input that was declared to be +1 and -1 '
                             'has other values')
    return is_marked
