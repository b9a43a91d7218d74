"""ResNet-20 with binary 3x3 convolutions, for CIFAR-10."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import initializers

from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.binarynet import link_binary_convolution_2d
from zoo.reactnet import link_rprelu
from zoo.reactnet import link_shifted_bst


class BiRealBlock(chainer.Chain):
    r"""A binary 3x3 convolution with a real-valued shortcut around it.

    .. math::

        y = f(\mathrm{BN}(\mathrm{sign}(x - \alpha) * \mathrm{sign}(W)) + s)

    with the shortcut :math:`s = x` (`Bi-Real Net
    <https://arxiv.org/abs/1808.00278>`_, section 3.2); :math:`\alpha` and the
    activation :math:`f` have the learned shifts of `ReActNet
    <https://arxiv.org/abs/2003.03488>`_, see
    :class:`~zoo.reactnet.link_shifted_bst.ShiftedBST` and
    :class:`~zoo.reactnet.link_rprelu.RPReLU`.

    Where the convolution has stride 2, the shortcut takes each second row and
    column and adds as many channels of zeros in front as behind: option A of
    `ResNet <https://arxiv.org/abs/1512.03385>`_, as in IR-Net's and ReCU's
    nets of 20 layers.

    Args:
        n_in (int): Channels of the input.
        n_out (int): Channels of the output, ``n_in`` or an even number more.
        stride (int): Of the convolution; its padding is 1, of zeros.
        binary (bool): If ``False``, the block is the float twin: no sign, no
            binary weights, and ReLU.  ``surrogate`` then has no effect.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.
        binary_weights (bool): If ``False``, the convolution has float
            weights, behind the sign.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1,
                 binary: bool = True, surrogate: str = 'ste',
                 binary_weights: bool = True):
        super().__init__()
        self.binary = binary
        self.stride = stride
        self.n_zeros = (n_out - n_in) // 2
        convolution = (link_binary_convolution_2d.BinaryConvolution2D
                       if binary and binary_weights else
                       link_convolution_2d.Convolution2D)
        with self.init_scope():
            if binary:
                self.sign = link_shifted_bst.ShiftedBST(n_in, surrogate)
            self.conv = convolution(
                n_in, n_out, 3, stride, 1, nobias=True,
                initialW=initializers.HeNormal())
            self.bn = link_batch_normalization.BatchNormalization(n_out)
            if binary:
                self.rprelu = link_rprelu.RPReLU(n_out)

    def shortcut(self, x: chainer.Variable) -> chainer.Variable:
        """Brings the input to the shape of the output."""
        if self.stride > 1:
            x = x[:, :, ::self.stride, ::self.stride]
        if self.n_zeros:
            x = F.pad(x, ((0, 0), (self.n_zeros,) * 2, (0, 0), (0, 0)),
                      'constant')
        return x

    def forward(self, x: chainer.Variable) -> chainer.Variable:
        """Applies the block.

        Args:
            x (~chainer.Variable): (batch, n_in, h, w).

        Returns:
            ~chainer.Variable: (batch, n_out, h / stride, w / stride), rounded
            up.
        """
        h = self.bn(self.conv(self.sign(x) if self.binary else x))
        h = h + self.shortcut(x)
        return self.rprelu(h) if self.binary else function_relu.relu(h)


class ResNet20(chainer.Chain):
    """16C3 - 6x16C3 - 6x32C3 - 6x64C3 - mean over the image - classes.

    The first convolution, ``conv1`` with batch normalization ``bn1``, and the
    last layer, ``l20``, are float.  The 18 convolutions between are
    :class:`BiRealBlock`, ``block2`` to ``block19``; ``block8`` and
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
                setattr(self, f'block{i}', BiRealBlock(
                    n_in, n_next, 1 if n_in == n_next else 2, binary,
                    surrogate, binary_weights))
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
