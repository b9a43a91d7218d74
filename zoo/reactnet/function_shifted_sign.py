"""Sign with a learned threshold for each channel, in one operation."""
import chainer
import chainer.functions as F
import numpy
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import shifted_activations
from zoo.surrogates import sign


class ShiftedSign(function_node.FunctionNode):
    """Shift and sign; see :func:`shifted_sign`."""

    def __init__(self, surrogate: str):
        super().__init__()
        self.surrogate = surrogate

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x', 'alpha'))
        x, alpha = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim >= 2)
        type_check.expect(
            alpha.dtype == x.dtype, alpha.ndim == 1,
            alpha.shape[0] == x.shape[1])

    def forward_cpu(self, inputs):
        self.retain_inputs((0, 1))
        return shifted_activations.shifted_signs(*inputs),

    def backward(self, indexes, grad_outputs):
        inputs = self.get_retained_inputs()
        gy, = grad_outputs
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            return chainer.grad(
                [_in_parts(*inputs, self.surrogate)], inputs, [gy],
                enable_double_backprop=True)
        x, alpha = (v.array for v in inputs)
        return [chainer.as_variable(g) for g in (
            shifted_activations.shifted_signs_gradient(
                x, alpha, gy.array, self.surrogate))]


def shifted_sign(x, alpha, surrogate: str = 'ste') -> chainer.Variable:
    r"""Binary activation with a learnable shift, RSign.

    .. math::

        y = \mathrm{sign}(x - \alpha_c), \qquad \mathrm{sign}(0) = +1

    for each channel ``c`` (`ReActNet <https://arxiv.org/abs/2003.03488>`_,
    Eq. (4)).  The gradient of ``x`` is that of the sign operation at
    :math:`x - \alpha_c`; the gradient of :math:`\alpha_c` is its sum over the
    channel, negated.

    It is ``sign.sign(F.bias(x, -alpha), surrogate)``, to the bit forward, and
    with sums of float64 backward.  NumPy arrays of images, float32 or 64,
    take one pass each way; others are left to these functions.  Double
    backward is that of the sign operation.

    Args:
        x (~chainer.Variable or array): (batch, channels, ...), of a float
            dtype.
        alpha (~chainer.Variable or array): Thresholds, (channels,), of the
            dtype of ``x``.
        surrogate (str): What stands for the derivative of the sign, see
            :func:`zoo.surrogates.sign.sign`.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``x``.

    Raises:
        ValueError: If there is no such surrogate.
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    array = chainer.as_array(x)
    if (type(array) is not numpy.ndarray or array.ndim < 3
            or array.dtype not in (numpy.float32, numpy.float64)
            or surrogate not in shifted_activations.SURROGATES):
        return _in_parts(x, alpha, surrogate)
    return ShiftedSign(surrogate).apply((x, alpha))[0]


def _in_parts(x, alpha, surrogate):
    return sign.sign(F.bias(x, -alpha), surrogate)
