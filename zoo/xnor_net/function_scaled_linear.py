"""Linear operation on the scaled binary weights of XNOR-Net."""
import chainer
from chainer.functions.connection import linear
from chainer.utils import type_check

import function_binary_linear
from bnn.chainer_ops import precision
from bnn.kernels import signs
from zoo.xnor_net import function_scaled_binarize


class ScaledLinearFunction(linear.LinearFunction):
    """Chainer's linear operation, for weights that are signs times a scale.

    The scale of an output comes after the product with the signs.  That
    product is exact where the input is +1 and -1 alone, and on the CPU it is
    of packed signs then, see :class:`bnn.kernels.signs.Signs`.
    """

    def forward(self, inputs):
        x, W = inputs[:2]
        self.retain_inputs((0, 1))
        self._Wb = signs.Signs(W)
        y = self._Wb.apply(x)
        y *= abs(W[:, 0])
        if len(inputs) == 3:
            y += inputs[2]
        return y,

    def backward(self, indexes, grad_outputs):
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            return super().backward(indexes, grad_outputs)
        x, W = (v.array for v in self.get_retained_inputs())
        gy, bits = grad_outputs[0].array, precision.get()
        gradients = (
            lambda: self._Wb.apply_transposed(gy * abs(W[:, 0]), bits),
            lambda: signs.weight_gradient(gy, x, bits),
            lambda: gy.sum(axis=0))
        return [chainer.as_variable(gradients[i]()) for i in indexes]


def scaled_linear(x, W, b=None,
                  straight_through: bool = False) -> chainer.Variable:
    r"""Linear operation whose weights are binarized and scaled first.

    :math:`y = x \tilde W^T + b` with :math:`\tilde W` of
    :func:`~zoo.xnor_net.function_scaled_binarize.scaled_binarize`
    (`XNOR-Net <https://arxiv.org/abs/1603.05279>`_, section 3.1).

    Args:
        x (~chainer.Variable or array): Input, (batch, ...), flattened from
            axis 1; float16, 32 or 64.
        W (~chainer.Variable or array): Latent weights, (out_size, in_size),
            of the dtype of ``x``.
        b (~chainer.Variable or array): Bias, (out_size,), added as it is.
        straight_through (bool): See
            :func:`~zoo.xnor_net.function_scaled_binarize.scaled_binarize`.

    Returns:
        ~chainer.Variable: (batch, out_size), of the dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    x = function_binary_linear.flatten(x)
    if x.dtype != W.dtype:
        raise type_check.InvalidType(
            'x.dtype == W.dtype', f'{x.dtype} != {W.dtype}')
    W = function_scaled_binarize.scaled_binarize(W, straight_through)
    return ScaledLinearFunction().apply(
        (x, W) if b is None else (x, W, b))[0]
