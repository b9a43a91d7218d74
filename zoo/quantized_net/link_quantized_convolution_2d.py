"""Convolutional layer with k-bit weights."""
import chainer
from chainer import initializers

from bnn.chainer_ops import function_convolution_2d
from zoo.binarynet import link_binary_convolution_2d
from zoo.quantized_net import function_quantize
from zoo.quantized_net import qst


class QuantizedConvolution2D(link_binary_convolution_2d.BinaryConvolution2D):
    r"""Convolution that computes with k-bit weights.

    :math:`y = x * W_q + b` with :math:`W_q` of
    :func:`~zoo.quantized_net.function_quantize.quantize`; with 1 bit it is
    the layer of :mod:`zoo.binarynet.link_binary_convolution_2d`.  ``W`` holds
    the latent weights.  With 1 bit, and with the linear quantizer, they need
    a :class:`~weight_clip.WeightClip`.

    Args:
        in_channels (int or None): Channels of the input.  With ``None`` they
            are taken from the first input.
        out_channels (int): Number of filters.
        ksize (int or pair of ints): Size of the filters, (kh, kw).
        bits (int): Bits of a weight: 1 to 8, or 32 for float weights.
        quantizer (str): ``'dorefa'`` or ``'linear'``.
        stride, pad, dilate, groups: See
            :func:`bnn.chainer_ops.function_convolution_2d.convolution_2d`.
        nobias (bool): If ``True``, there is no bias.
        initialW (initializer): Initial latent weights.  By default
            :class:`~chainer.initializers.LeCunNormal`, but uniform in
            [-1, 1] for the linear quantizer, which would round all of the
            former to 0.
        initial_bias (initializer): Initial bias, 0 by default.

    Attributes:
        w_bits (int): ``bits``.
        quantizer (str): ``quantizer``.

    Raises:
        ValueError: If ``groups`` does not divide both numbers of channels, a
            number is not positive, or there is no such quantizer or number
            of bits.
    """

    def __init__(self, in_channels: int | None, out_channels: int, ksize,
                 bits: int = 1, quantizer: str = 'dorefa', stride=1, pad=0,
                 nobias: bool = False, initialW=None, initial_bias=None,
                 dilate=1, groups: int = 1):
        qst.check(bits, quantizer)
        if initialW is None and quantizer == 'linear' and 1 < bits < 32:
            initialW = initializers.Uniform(1.)
        super().__init__(
            in_channels, out_channels, ksize, stride, pad, nobias, initialW,
            initial_bias, dilate, groups)
        del self.options['pad_value']  # It is 0.
        self.w_bits = bits
        self.quantizer = quantizer

    @property
    def printable_specs(self):
        yield from super().printable_specs
        yield 'bits', self.w_bits
        yield 'quantizer', self.quantizer

    def forward(self, x) -> chainer.Variable:
        if self.w_bits == 1:
            return super().forward(x)
        if self.W.array is None:
            self._initialize(x.shape[1])
        return function_convolution_2d.convolution_2d(
            x, function_quantize.quantize(
                self.W, self.w_bits, self.quantizer), self.b, **self.options)
