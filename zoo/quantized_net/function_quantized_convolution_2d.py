"""Two-dimensional convolution on k-bit weights."""
import chainer

from bnn.chainer_ops import function_convolution_2d
from zoo.binarynet import function_binary_convolution_2d
from zoo.quantized_net import function_quantize
from zoo.quantized_net import qst


def quantized_convolution_2d(
        x, W, b=None, stride=1, pad=0, dilate=1, groups=1, bits: int = 1,
        quantizer: str = 'dorefa') -> chainer.Variable:
    r"""Convolution whose weights are quantized first.

    :math:`y = x * W_q + b` with :math:`W_q` of
    :func:`~zoo.quantized_net.function_quantize.quantize`.  With 1 bit it is
    :func:`~zoo.binarynet.function_binary_convolution_2d.binary_convolution_2d`
    exactly, for both quantizers.

    Args:
        x (~chainer.Variable or array): Images, (batch, channels, h, w).
        W (~chainer.Variable or array): Latent weights, (filters,
            channels / groups, kh, kw).
        b (~chainer.Variable or array): Bias, (filters,), added as it is.
        stride (int or pair of ints): Step of the filter.
        pad (int or pair of ints): Width of the padding with 0, (h, w).
        dilate (int or pair of ints): Distance of the filter's elements.
        groups (int): Groups of channels that do not see each other.
        bits (int): Bits of a weight: 1 to 8, or 32.
        quantizer (str): ``'dorefa'`` or ``'linear'``.

    Returns:
        ~chainer.Variable: (batch, filters, h_out, w_out).

    Raises:
        ValueError: If there is no such quantizer or number of bits.
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    if bits == 1:
        qst.check(bits, quantizer)
        return function_binary_convolution_2d.binary_convolution_2d(
            x, W, b, stride, pad, dilate, groups)
    return function_convolution_2d.convolution_2d(
        x, function_quantize.quantize(W, bits, quantizer), b, stride, pad,
        dilate, groups)
