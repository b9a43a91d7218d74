"""A binary convolution with a real-valued shortcut around it."""
import chainer
import chainer.functions as F
from chainer import initializers

from bnn.chainer_ops import function_max_pooling_2d
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
    column.  Where it has more channels than its input, the shortcut has zeros
    in as many channels in front as behind, or one more behind: option A of
    `ResNet <https://arxiv.org/abs/1512.03385>`_, as in IR-Net's and ReCU's
    nets of 20 layers.

    Args:
        n_in (int): Channels of the input.
        n_out (int): Channels of the output, ``n_in`` or more.
        stride (int): Of the convolution; its padding is 1, of zeros.
        pool (bool): If ``True``, max-pooling of 2x2 pixels follows the
            convolution, before batch normalization, and s is pooled too.
        binary (bool): If ``False``, the block is the float twin: no sign, no
            binary weights, and ReLU.  ``surrogate`` then has no effect.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.
        binary_weights (bool): If ``False``, the convolution has float
            weights, behind the sign.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1,
                 pool: bool = False, binary: bool = True,
                 surrogate: str = 'ste', binary_weights: bool = True):
        super().__init__()
        self.binary = binary
        self.stride = stride
        self.pool = pool
        n = n_out - n_in
        self.zeros = n // 2, n - n // 2
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
        if self.pool:
            x = function_max_pooling_2d.max_pooling_2d(x, 2)
        if self.stride > 1:
            x = x[:, :, ::self.stride, ::self.stride]
        if any(self.zeros):
            x = F.pad(x, ((0, 0), self.zeros, (0, 0), (0, 0)), 'constant')
        return x

    def forward(self, x: chainer.Variable) -> chainer.Variable:
        """Applies the block.

        Args:
            x (~chainer.Variable): (batch, n_in, h, w).

        Returns:
            ~chainer.Variable: (batch, n_out, h / stride, w / stride), rounded
            up; or half as large, if it pools.
        """
        h = self.conv(self.sign(x) if self.binary else x)
        if self.pool:
            h = function_max_pooling_2d.max_pooling_2d(h, 2)
        h = self.bn(h) + self.shortcut(x)
        return self.rprelu(h) if self.binary else function_relu.relu(h)
