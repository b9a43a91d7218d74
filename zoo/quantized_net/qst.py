"""k-bit activation with the straight-through estimator."""
import chainer
import chainer.functions as F
from chainer import function_node
from chainer.utils import type_check

import bst
from bnn.kernels import elementwise
from zoo.surrogates import function_surrogate_gradient

BITS = (1, 2, 3, 4, 5, 6, 7, 8, 32)
QUANTIZERS = ('dorefa', 'linear')


def levels(bits: int, quantizer: str) -> tuple[int, float, float]:
    """Returns the levels of a quantizer.

    Args:
        bits (int): 1 to 8, or 32.
        quantizer (str): ``'dorefa'`` or ``'linear'``.

    Returns:
        tuple: Steps in a unit, least value, largest value.

    Raises:
        ValueError: If there is no such quantizer or number of bits.
    """
    check(bits, quantizer)
    if quantizer == 'dorefa':
        return 2 ** bits - 1, 0., 1.
    return 2 ** (bits - 1), -1., 1.


def check(bits: int, quantizer: str):
    """Raises ValueError for an unknown quantizer or number of bits."""
    if bits not in BITS:
        raise ValueError(f'bits must be 1 to 8 or 32, not {bits!r}')
    if quantizer not in QUANTIZERS:
        raise ValueError(f'no quantizer {quantizer!r}; '
                         f'there are: {", ".join(QUANTIZERS)}')


class QST(function_node.FunctionNode):
    """Rounds to levels in a range; see :func:`qst`."""

    def __init__(self, n, low, high):
        super().__init__()
        self.n = n
        self.low = low
        self.high = high

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x',))
        type_check.expect(in_types[0].dtype.kind == 'f')

    def forward(self, inputs):
        self.retain_inputs((0,))
        x, = inputs
        return elementwise.quantize(x, self.n, self.low, self.high),

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        return function_surrogate_gradient.surrogate_gradient(
            grad_outputs[0], x.array, self._gradient, is_constant=True),

    def _gradient(self, x, gy):
        return elementwise.ste_gradient(x, gy, self.low, self.high)


def qst(x, bits: int, quantizer: str = 'dorefa') -> chainer.Variable:
    r"""k-bit activation: quantized forward, straight-through backward.

    ``'dorefa'`` (`1606.06160 <https://arxiv.org/abs/1606.06160>`_, Eq. (5))
    clips ``x`` to [0, 1] first:
    :math:`y = \mathrm{round}(x (2^k - 1)) / (2^k - 1)`, :math:`2^k` levels.

    ``'linear'`` is LinearQuant of QNN (`1609.07061
    <https://arxiv.org/abs/1609.07061>`_, Eq. (8)):
    :math:`y = \mathrm{clip}(\mathrm{round}(x / s) s, -1, 1)` with the step
    :math:`s = 2^{1-k}`.  As in the paper it reaches both ends of the range,
    so it has :math:`2^k + 1` levels, one more than k bits can tell apart.

    Rounding is to the nearest level, and of a tie to the even one.  The
    gradient passes where ``x`` is inside the range, ends included.  With 1
    bit both quantizers are the sign, :func:`bst.bst`.  With 32 bits only the
    clip remains.  NaN stays NaN from 2 bits on.

    Args:
        x (~chainer.Variable or array): Any shape; float16, 32 or 64.
        bits (int): k: 1 to 8, or 32.
        quantizer (str): ``'dorefa'`` or ``'linear'``.

    Returns:
        ~chainer.Variable: Of the shape and dtype of ``x``.

    Raises:
        ValueError: If there is no such quantizer or number of bits.
        chainer.utils.type_check.InvalidType: If ``x`` is not of a floating
            point dtype.

    .. rubric:: Example

    >>> qst(numpy.array([-1., 0.4, 0.6, 2.], 'f'), 2).array * 3
    array([0., 1., 2., 3.], dtype=float32)
    """
    n, low, high = levels(bits, quantizer)
    if bits == 1:
        return bst.bst(x)
    if bits == 32:
        return F.clip(x, low, high)
    return QST(n, low, high).apply((x,))[0]
