"""A net of few and wide binary convolutions, for a short training."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import initializers

from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.bireal_net import link_bireal_block


class FastConvNet(chainer.Chain):
    """64C3 - MP2 - 64C3 - 256C3 - MP2 - 256C3 - 256C3 - MP2 - 256C3 - mean.

    All convolutions are 3x3 with padding 1, and batch normalization follows
    each.  The widths and the pools right behind the widening convolutions are
    those of `airbench <https://arxiv.org/abs/2404.00498>`_, the float net of
    the shortest training for CIFAR-10 on a GPU.

    The first convolution, ``conv1`` with batch normalization ``bn1``, and the
    last layer, ``l7``, are float.  The others, ``block2`` to ``block6``, have
    a shortcut each, so that what ``conv1`` found is added up, as real
    numbers, to the end: see
    :class:`~zoo.bireal_net.link_bireal_block.BiRealBlock`.

    Args:
        n_out (int): Number of classes.
        binary (bool): If ``False``, the float twin: no sign, no binary
            weights, and ReLU.  ``surrogate`` then has no effect.
        width (int): Channels of the first layer, 64 above; from ``block3`` on
            there are four times as many.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.
        binary_weights (bool): If ``False``, the net has binary activations
            and float weights, see :class:`~zoo.bireal_net.resnet20.ResNet20`.
    """

    def __init__(self, n_out: int = 10, binary: bool = True, width: int = 64,
                 surrogate: str = 'ste', binary_weights: bool = True):
        super().__init__()
        channels = width, width, *[4 * width] * 4
        with self.init_scope():
            self.conv1 = link_convolution_2d.Convolution2D(
                3, width, 3, pad=1, nobias=True,
                initialW=initializers.HeNormal())
            self.bn1 = link_batch_normalization.BatchNormalization(width)
            for i, (n_in, n_next) in enumerate(zip(channels, channels[1:]), 2):
                setattr(self, f'block{i}', link_bireal_block.BiRealBlock(
                    n_in, n_next, pool=i in (3, 5), binary=binary,
                    surrogate=surrogate, binary_weights=binary_weights))
            self.l7 = L.Linear(n_next, n_out)

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32);
                other sizes work too.

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = self.bn1(function_max_pooling_2d.max_pooling_2d(self.conv1(x), 2))
        h = self.block2(h)
        h = self.block3(h)
        h = self.block4(h)
        h = self.block5(h)
        h = self.block6(h)
        return self.l7(F.mean(h, axis=(2, 3)))
