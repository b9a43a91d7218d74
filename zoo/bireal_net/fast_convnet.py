"""A net of few and wide binary convolutions, for a short training."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import initializers

from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.binarynet import link_binary_convolution_2d
from zoo.surrogates import sign


class FastConvNet(chainer.Chain):
    r"""64C3 - MP2 - 64C3 - 256C3 - MP2 - 256C3 - 256C3 - MP2 - 256C3 - mean.

    All convolutions are 3x3 with padding 1, and batch normalization follows
    each.  ``conv1`` and the last layer ``l7`` are float.  The widths and the
    pools right behind the widening convolutions are those of `airbench
    <https://arxiv.org/abs/2404.00498>`_, the float net of the shortest
    training for CIFAR-10 on a GPU.  The even convolutions have the real-valued
    shortcut of `Bi-Real Net <https://arxiv.org/abs/1808.00278>`_, section
    3.2:

    .. math::

        h_1 &= \mathrm{BN}(\mathrm{pool}(x * W_1)) \\
        h_i &= \mathrm{BN}(\mathrm{sign}(h_{i-1}) * \mathrm{sign}(W_i))
            + h_{i-1}, && i = 2, 4, 6 \\
        h_i &= \mathrm{BN}(\mathrm{pool}(
            \mathrm{sign}(h_{i-1}) * \mathrm{sign}(W_i))), && i = 3, 5

    Args:
        n_out (int): Number of classes.
        binary (bool): If ``False``, the float twin: ReLU in place of the
            sign, and float weights.  ``surrogate`` then has no effect.
        width (int): Channels of the first layer, 64 above; from ``conv3`` on
            there are four times as many.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.
        binary_weights (bool): If ``False``, the net has binary activations
            and float weights, see :class:`~zoo.bireal_net.resnet20.ResNet20`.
    """

    def __init__(self, n_out: int = 10, binary: bool = True, width: int = 64,
                 surrogate: str = 'ste', binary_weights: bool = True):
        super().__init__()
        self.binary = binary
        self.surrogate = surrogate
        convolution = (link_binary_convolution_2d.BinaryConvolution2D
                       if binary and binary_weights else
                       link_convolution_2d.Convolution2D)
        channels = 3, width, width, *[4 * width] * 4
        with self.init_scope():
            for i, (n_in, n_next) in enumerate(zip(channels, channels[1:]), 1):
                setattr(self, f'conv{i}', (
                    convolution if i > 1 else
                    link_convolution_2d.Convolution2D)(
                        n_in, n_next, 3, pad=1, nobias=True,
                        initialW=initializers.HeNormal()))
                setattr(self, f'b{i}', (
                    link_batch_normalization.BatchNormalization(n_next)))
            self.l7 = L.Linear(channels[-1], n_out)

    def activate(self, x: chainer.Variable) -> chainer.Variable:
        """Applies the sign, or ReLU in the float twin."""
        return (sign.sign(x, self.surrogate) if self.binary
                else function_relu.relu(x))

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32);
                other sizes work too.

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        pool = function_max_pooling_2d.max_pooling_2d
        h = self.b1(pool(self.conv1(x), 2))
        h = self.b2(self.conv2(self.activate(h))) + h
        h = self.b3(pool(self.conv3(self.activate(h)), 2))
        h = self.b4(self.conv4(self.activate(h))) + h
        h = self.b5(pool(self.conv5(self.activate(h)), 2))
        h = self.b6(self.conv6(self.activate(h))) + h
        return self.l7(F.mean(h, axis=(2, 3)))
