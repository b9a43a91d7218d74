"""PReLU between two learned shifts, in one operation."""
import chainer
import chainer.functions as F
import numpy
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import shifted_activations


class RPReLUFunction(function_node.FunctionNode):
    """Shift, PReLU and shift; see :func:`rprelu`."""

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x', 'gamma', 'beta', 'zeta'))
        x, *params = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim >= 2)
        for param in params:
            type_check.expect(
                param.dtype == x.dtype, param.ndim == 1,
                param.shape[0] == x.shape[1])

    def forward_cpu(self, inputs):
        self.retain_inputs((0, 1, 2, 3))
        return shifted_activations.rprelu(*inputs),

    def backward(self, indexes, grad_outputs):
        inputs = self.get_retained_inputs()
        gy, = grad_outputs
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            return chainer.grad([_in_parts(*inputs)], inputs, [gy],
                                enable_double_backprop=True)
        x, gamma, beta, _ = (v.array for v in inputs)
        return [chainer.as_variable(g) for g in (
            shifted_activations.rprelu_gradient(x, gamma, beta, gy.array))]


def rprelu(x, gamma, beta, zeta) -> chainer.Variable:
    r"""PReLU with learnable shifts of its input and its output.

    .. math::

        y = \zeta_c + \begin{cases}
            v & v \ge 0 \\ \beta_c v & v < 0 \end{cases}, \qquad
        v = x - \gamma_c

    for each channel ``c`` (`ReActNet <https://arxiv.org/abs/2003.03488>`_,
    Eq. (5)), and backward

    .. math::

        \frac{\partial C}{\partial x} = \frac{\partial C}{\partial y}
        \begin{cases} 1 & v \ge 0 \\ \beta_c & v < 0 \end{cases}, \quad
        \frac{\partial C}{\partial \gamma_c} =
        -\sum \frac{\partial C}{\partial x}, \quad
        \frac{\partial C}{\partial \beta_c} =
        \sum_{v < 0} v \frac{\partial C}{\partial y}, \quad
        \frac{\partial C}{\partial \zeta_c} =
        \sum \frac{\partial C}{\partial y}

    over the values of a channel.  It is
    ``F.bias(F.prelu(F.bias(x, -gamma), beta), zeta)``, to the bit forward,
    and with sums of float64 backward.  NumPy arrays of images, float32 or 64,
    take one pass each way; others are left to these functions.  Double
    backward is supported.

    Args:
        x (~chainer.Variable or array): (batch, channels, ...), of a float
            dtype.
        gamma (~chainer.Variable or array): Shifts of the input, (channels,),
            of the dtype of ``x``.
        beta (~chainer.Variable or array): Slopes, as ``gamma``.
        zeta (~chainer.Variable or array): Shifts of the output, as ``gamma``.

    Returns:
        ~chainer.Variable: Of the shape and dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    array = chainer.as_array(x)
    if (type(array) is not numpy.ndarray or array.ndim < 3
            or array.dtype not in (numpy.float32, numpy.float64)):
        return _in_parts(x, gamma, beta, zeta)
    return RPReLUFunction().apply((x, gamma, beta, zeta))[0]


def _in_parts(x, gamma, beta, zeta):
    return F.bias(F.prelu(F.bias(x, -gamma), beta), zeta)
