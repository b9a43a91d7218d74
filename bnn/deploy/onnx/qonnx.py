"""The same graph with the quantizers of QONNX, for FINN, hls4ml and others.

Weights and activations of one bit are ``BipolarQuant`` nodes, those of k bits
``Quant`` nodes of the domain ``qonnx.custom_op.general`` (`QONNX
<https://github.com/fastmachinelearning/qonnx>`_).  The scales are those of
the float graph: weights are whole numbers, and their step comes behind the
sum.  These tools want a fixed batch, which is 1, and no casts: the pixels are
float32.  They fold ``BatchNormalization`` into thresholds, which they do not
with its parts.
"""
import numpy

from bnn.deploy.onnx import operators

DOMAIN, VERSION = 'qonnx.custom_op.general', 1


class Graph(operators.Graph):
    """A graph whose signs, quantizers and weights are QONNX's nodes."""

    batch = 1
    domains = ((DOMAIN, VERSION),)
    pixels = 'FLOAT'

    def add_pixels(self):
        pass

    def add_batch_normalization(self, bn):
        self.apply('BatchNormalization', bn.gamma, bn.beta, bn.mean, bn.var,
                   epsilon=bn.eps)

    def add_mean(self):
        self.apply('GlobalAveragePool')
        self.apply('Flatten')

    def add_sign(self, threshold):
        if numpy.any(threshold):
            self.apply('Sub', threshold)
        self.apply('BipolarQuant', numpy.float32(1), domain=DOMAIN)

    def add_levels(self, quantize):
        low, high = (round(end * quantize.n)
                     for end in (quantize.low, quantize.high))
        is_signed = low < 0
        n_bits = is_signed + max(
            high.bit_length(), (-low - is_signed).bit_length())
        least = -(1 << n_bits - 1) if is_signed else 0
        if (low, high) not in ((least, least + (1 << n_bits) - 1),
                               (least + 1, -least - 1)):
            # As the linear quantizer, of 2^k + 1 levels
            self.apply('Clip', *map(
                numpy.float32, (quantize.low, quantize.high)))
        self.x = self._quant(
            self.x, 1 / quantize.n, n_bits, is_signed,
            is_signed and low == least + 1)

    def add_linear(self, W):
        # FINN takes MatMul rather than Gemm.
        self.apply('MatMul', self._weights(W, W.values.T))

    def weights(self, W):
        return self._weights(W, W.values)

    def _weights(self, W, values):
        name = self.constant('W', values.astype(numpy.float32))
        if W.bits == 1:
            return self.node('BipolarQuant', name, numpy.float32(1),
                             domain=DOMAIN)
        if W.bits == 32:
            return name
        reach = max(int(abs(values.astype(numpy.int64)).max()), 1)
        return self._quant(name, 1, reach.bit_length() + 1, True, True)

    def _quant(self, x, scale, n_bits, is_signed, is_narrow):
        return self.node(
            'Quant', x, *map(numpy.float32, (scale, 0, n_bits)),
            domain=DOMAIN, signed=int(is_signed), narrow=int(is_narrow),
            rounding_mode='ROUND')
