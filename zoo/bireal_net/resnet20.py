"""ResNet-20 with binary 3x3 convolutions, for CIFAR-10."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import initializers

from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.bireal_net import link_bireal_block


class ResNet20(chainer.Chain):
    """16C3 - 6x16C3 - 6x32C3 - 6x64C3 - mean over the image - classes.

    The first convolution, ``conv1`` with batch normalization ``bn1``, and the
    last layer, ``l20``, are float.  The 18 convolutions between are ``block2``
    to ``block19``, see
    :class:`~zoo.bireal_net.link_bireal_block.BiRealBlock`; ``block8`` and
    ``block14``, the first of 32 and of 64 channels, have stride 2.  Batch
    normalization ``bn20`` of the means comes before the last layer, as in
    IR-Net's net (`ResNet <https://arxiv.org/abs/1512.03385>`_, section 4.2;
    `IR-Net <https://arxiv.org/abs/1909.10788>`_).

    Args:
        n_out (int): Number of classes.
        binary (bool): If ``False``, nothing is binarized, which is the
            baseline.  It has a shortcut around each convolution too, where
            ResNet's go around two.
        width (int): Channels of the first layer; the others are multiples.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.
        binary_weights (bool): If ``False``, the net has binary activations
            and float weights: the first step of a training in two, after
            which the net with binary weights starts from this one's
            (`Real-to-Binary <https://arxiv.org/abs/2003.11535>`_).  It has
            the same parameters.
    """

    def __init__(self, n_out: int = 10, binary: bool = True, width: int = 16,
                 surrogate: str = 'ste', binary_weights: bool = True):
        super().__init__()
        self.binary = binary
        channels = [width] + [width * n for n in (1, 2, 4) for _ in range(6)]
        with self.init_scope():
            self.conv1 = link_convolution_2d.Convolution2D(
                3, width, 3, pad=1, nobias=True,
                initialW=initializers.HeNormal())
            self.bn1 = link_batch_normalization.BatchNormalization(width)
            for i, (n_in, n_next) in enumerate(zip(channels, channels[1:]), 2):
                setattr(self, f'block{i}', link_bireal_block.BiRealBlock(
                    n_in, n_next, 1 if n_in == n_next else 2, binary=binary,
                    surrogate=surrogate, binary_weights=binary_weights))
            self.bn20 = link_batch_normalization.BatchNormalization(n_next)
            self.l20 = L.Linear(n_next, n_out)

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32);
                other sizes work too.

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = self.bn1(self.conv1(x))
        if not self.binary:
            h = function_relu.relu(h)
        for i in range(2, 20):
            h = self[f'block{i}'](h)
        return self.l20(self.bn20(F.mean(h, axis=(2, 3))))
