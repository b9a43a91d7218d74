"""CNV, the convolutional net of BNN-PYNQ, for CIFAR-10."""
import chainer
from chainer import initializers

from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from zoo.binarynet import function_normalized_sign
from zoo.quantized_net import link_quantized_convolution_2d
from zoo.quantized_net import link_quantized_linear
from zoo.quantized_net import qst
from zoo.surrogates import sign


class CNV(chainer.Chain):
    """2x64C3 - MP2 - 2x128C3 - MP2 - 2x256C3 - 2x512FC - classes.

    The convolutions ``conv1`` to ``conv6`` are 3x3 without padding, so that
    the last gives 256 values of an image of 32x32 pixels.  ``l7`` to ``l9``
    are fully connected.  No layer has a bias.  Batch normalization, ``b1`` to
    ``b9`` (eps 1e-4), follows each layer, and the activation all but the
    last.  The 2x2 max-pools come after the activations of ``conv2`` and
    ``conv4``: all that a layer is given has the bits of an activation, but
    the image, which has 8 (`FINN <https://arxiv.org/abs/1612.07119>`_; the
    layers and their order are those of Brevitas' ``bnn_pynq``).

    Brevitas normalizes the scores with one mean and one variance for all
    classes; here ``b9`` has those of each class.  Its 2-bit weights and
    activations are -1, 0 and +1; here they are those of the quantizer.

    Args:
        n_out (int): Number of classes.
        w_bits (int): Bits of a weight, 1 to 8, or 32: float weights.
        a_bits (int): Bits of an activation, 1 to 8, or 32: ReLU.
        quantizer (str): ``'dorefa'`` or ``'linear'``, see
            :func:`zoo.quantized_net.qst.qst`.
        surrogate (str): Gradient of the sign, for activations of 1 bit, see
            :func:`zoo.surrogates.sign.sign`.

    Raises:
        ValueError: If there is no such quantizer or number of bits.
    """

    def __init__(self, n_out: int = 10, w_bits: int = 1, a_bits: int = 1,
                 quantizer: str = 'dorefa', surrogate: str = 'ste'):
        qst.check(a_bits, quantizer)
        super().__init__()
        self.a_bits = a_bits
        self.quantizer = quantizer
        self.surrogate = surrogate
        options = {'bits': w_bits, 'quantizer': quantizer, 'nobias': True}
        if a_bits == 32:
            options['initialW'] = initializers.HeNormal()
        channels = 3, 64, 64, 128, 128, 256, 256
        sizes = 256, 512, 512, n_out
        with self.init_scope():
            for i in range(1, 7):
                setattr(self, f'conv{i}', (
                    link_quantized_convolution_2d.QuantizedConvolution2D(
                        channels[i - 1], channels[i], 3, **options)))
            for i in range(7, 10):
                setattr(self, f'l{i}', (
                    link_quantized_linear.QuantizedLinear(
                        sizes[i - 7], sizes[i - 6], **options)))
            for i, size in enumerate(channels[1:] + sizes[1:], 1):
                setattr(self, f'b{i}', (
                    link_batch_normalization.BatchNormalization(
                        size, eps=1e-4)))

    def activate(self, x: chainer.Variable, i: int) -> chainer.Variable:
        """Applies batch normalization ``i`` and the activation."""
        bn = self[f'b{i}']
        if self.a_bits == 1 and self.surrogate == 'ste':
            return function_normalized_sign.normalized_sign(x, bn)
        if self.a_bits == 1:
            return sign.sign(bn(x), self.surrogate)
        if self.a_bits == 32:
            return function_relu.relu(bn(x))
        return qst.qst(bn(x), self.a_bits, self.quantizer)

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = x
        for i in range(1, 7):
            h = self.activate(self[f'conv{i}'](h), i)
            if i in (2, 4):
                h = function_max_pooling_2d.max_pooling_2d(h, 2)
        h = self.activate(self.l7(h), 7)
        h = self.activate(self.l8(h), 8)
        return self.b9(self.l9(h))
