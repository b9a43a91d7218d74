"""Fully connected layer with k-bit weights."""
import math

import chainer
import chainer.functions as F
from chainer import initializers

import function_binary_linear
import link_binary_linear
from zoo.quantized_net import function_quantize
from zoo.quantized_net import qst


class QuantizedLinear(link_binary_linear.BinaryLinear):
    r"""Linear layer that computes with k-bit weights.

    :math:`y = x W_q^T + b` with :math:`W_q` of
    :func:`~zoo.quantized_net.function_quantize.quantize`; with 1 bit it is
    :class:`~link_binary_linear.BinaryLinear`.  ``W`` holds the latent
    weights.  With 1 bit, and with the linear quantizer, they need a
    :class:`~weight_clip.WeightClip`.

    Args:
        in_size (int or None): Number of inputs.  With ``None`` it is taken
            from the first input.
        out_size (int): Number of outputs.
        bits (int): Bits of a weight: 1 to 8, or 32 for float weights.
        quantizer (str): ``'dorefa'`` or ``'linear'``.
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
        ValueError: If a size is not positive, or there is no such quantizer
            or number of bits.
    """

    def __init__(self, in_size: int | None, out_size: int, bits: int = 1,
                 quantizer: str = 'dorefa', nobias: bool = False,
                 initialW=None, initial_bias=None):
        qst.check(bits, quantizer)
        if initialW is None and quantizer == 'linear' and 1 < bits < 32:
            initialW = initializers.Uniform(1.)
        super().__init__(in_size, out_size, nobias, initialW, initial_bias)
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
            self._initialize(math.prod(x.shape[1:]))
        return F.linear(
            function_binary_linear.flatten(x),
            function_quantize.quantize(self.W, self.w_bits, self.quantizer),
            self.b)
