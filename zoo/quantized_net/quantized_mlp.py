"""Multi-layer perceptron with k-bit weights and activations."""
import chainer

from zoo import mlp
from zoo.quantized_net import link_quantized_linear
from zoo.quantized_net import qst


class QuantizedMLP(mlp.MLP):
    """k-bit weights and activations: the net of quantized_net.

    At 1 and 1 bit it is :class:`net.BinaryMLP`
    (`QNN <https://arxiv.org/abs/1609.07061>`_).

    Args:
        n_units (int): Units of each hidden layer.
        n_out, n_in, n_layers, batch_norm, dropout_input, dropout_hidden: See
            :class:`~zoo.mlp.MLP`.
        w_bits (int): Bits of a weight, 1 to 8 or 32.
        a_bits (int): Bits of an activation, 1 to 8 or 32.
        quantizer (str): ``'dorefa'`` or ``'linear'``, see
            :func:`zoo.quantized_net.qst.qst`.

    Raises:
        ValueError: If there is no such quantizer or number of bits.
    """

    def __init__(self, n_units: int = 1000, *args, w_bits: int = 2,
                 a_bits: int = 2, quantizer: str = 'dorefa', **kwargs):
        qst.check(a_bits, quantizer)
        # Not w_bits, which marks a layer that has binary or k-bit weights.
        self._w_bits = w_bits
        self.a_bits = a_bits
        self.quantizer = quantizer
        super().__init__(n_units, *args, **kwargs)

    def linear(self, n_in: int, n_out: int) -> chainer.Link:
        return link_quantized_linear.QuantizedLinear(
            n_in, n_out, self._w_bits, self.quantizer)

    def activate(self, x: chainer.Variable) -> chainer.Variable:
        return qst.qst(x, self.a_bits, self.quantizer)
