"""Linear operation on k-bit weights."""
import chainer
import chainer.functions as F

import function_binary_linear
from zoo.quantized_net import function_quantize
from zoo.quantized_net import qst


def quantized_linear(x, W, b=None, bits: int = 1,
                     quantizer: str = 'dorefa') -> chainer.Variable:
    r"""Linear operation whose weights are quantized first.

    :math:`y = x W_q^T + b` with :math:`W_q` of
    :func:`~zoo.quantized_net.function_quantize.quantize`.  With 1 bit it is
    :func:`~function_binary_linear.binary_linear` exactly, for both
    quantizers.

    Args:
        x (~chainer.Variable or array): Input, (batch, ...), flattened from
            axis 1.
        W (~chainer.Variable or array): Latent weights, (out_size, in_size).
        b (~chainer.Variable or array): Bias, (out_size,), added as it is.
        bits (int): Bits of a weight: 1 to 8, or 32.
        quantizer (str): ``'dorefa'`` or ``'linear'``.

    Returns:
        ~chainer.Variable: (batch, out_size).

    Raises:
        ValueError: If there is no such quantizer or number of bits.
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    if bits == 1:
        qst.check(bits, quantizer)
        return function_binary_linear.binary_linear(x, W, b)
    return F.linear(function_binary_linear.flatten(x),
                    function_quantize.quantize(W, bits, quantizer), b)
