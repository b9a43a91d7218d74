"""k-bit weights with a gradient to the latent ones, for any operation."""
import chainer
import chainer.functions as F
import numpy
from chainer import function_node

import bst
from bnn.kernels import dorefa
from zoo.quantized_net import qst


class DoReFa(function_node.FunctionNode):
    """DoReFa's k-bit weights on a CPU; see :func:`quantize`."""

    def __init__(self, n):
        super().__init__()
        self.n = n

    def forward_cpu(self, inputs):
        self.retain_inputs((0,))
        y, self._tanh = dorefa.dorefa(*inputs, self.n)
        return y,

    def backward(self, indexes, grad_outputs):
        W, = self.get_retained_inputs()
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            return chainer.grad(
                [_by_functions(W, self.n)], [W], grad_outputs,
                enable_double_backprop=True)
        return chainer.as_variable(
            dorefa.dorefa_gradient(self._tanh, grad_outputs[0].array)),


def _by_functions(W, n):
    t = F.tanh(W)
    r = t / (2 * F.broadcast_to(F.max(F.absolute(t)), t.shape)) + 0.5
    return 2 * qst.QST(n, 0., 1.).apply((r,))[0] - 1


def quantize(W, bits: int, quantizer: str = 'dorefa') -> chainer.Variable:
    r"""k-bit weights with a gradient to the latent ones.

    ``'dorefa'`` (`1606.06160 <https://arxiv.org/abs/1606.06160>`_, Eq. (9)):

    .. math::

        W_q = 2\, q_k\!\left(\frac{\tanh W}{2 \max |\tanh W|} +
        \frac{1}{2}\right) - 1, \qquad
        q_k(r) = \frac{\mathrm{round}(r (2^k - 1))}{2^k - 1}

    The gradient passes the rounding as it is.  It is exact for the rest, the
    maximum included.  Weights that are all 0 give NaN.

    ``'linear'`` is LinearQuant of QNN, see :func:`zoo.quantized_net.qst.qst`.
    The gradient passes inside [-1, 1], where a
    :class:`~weight_clip.WeightClip` keeps the latent weights.

    With 1 bit both quantizers are the sign, :func:`bst.bst`.

    Args:
        W (~chainer.Variable or array): Latent weights, any shape.
        bits (int): k: 1 to 8, or 32: the weights as they are.
        quantizer (str): ``'dorefa'`` or ``'linear'``.

    Returns:
        ~chainer.Variable: Values in [-1, 1] (below 32 bits), of the shape
        and dtype of ``W``.

    Raises:
        ValueError: If there is no such quantizer or number of bits.
    """
    qst.check(bits, quantizer)
    if bits == 32:
        return chainer.as_variable(W)
    if bits == 1:
        return bst.bst(W)
    if quantizer == 'linear':
        return qst.qst(W, bits, quantizer)
    n = qst.levels(bits, quantizer)[0]
    array = chainer.as_array(W)
    if (isinstance(array, numpy.ndarray) and array.size
            and array.dtype in (numpy.float32, numpy.float64)):
        return DoReFa(n).apply((W,))[0]
    return _by_functions(W, n)
