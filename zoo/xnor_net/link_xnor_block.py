"""Blocks of XNOR-Net: what comes before and after a binary layer."""
import chainer
import chainer.links as L

import function_binary_linear
import link_binary_linear
from bnn.chainer_ops import function_dropout
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.binarynet import function_normalized_sign
from zoo.binarynet import link_binary_convolution_2d
from zoo.reactnet import link_rprelu
from zoo.reactnet import link_shifted_bst
from zoo.surrogates import sign
from zoo.xnor_net import function_input_scale
from zoo.xnor_net import link_scaled_convolution_2d
from zoo.xnor_net import link_scaled_linear


class XNORBlock(chainer.Chain):
    r"""What the blocks have in common.

    Batch normalization (eps 1e-4), sign, dropout, a layer on scaled binary
    weights, ReLU:

    .. math::

        h = \mathrm{BN}(x), \qquad
        y = \max(0, \; K \cdot (\mathrm{sign}(h) * \tilde W) + b)

    with :math:`\tilde W` of
    :func:`~zoo.xnor_net.function_scaled_binarize.scaled_binarize`
    (`XNOR-Net <https://arxiv.org/abs/1603.05279>`_, section 3.2).  The order
    and eps are those of XNOR-Net-PyTorch, which leaves out K.

    A subclass makes the layer and defines ``scale``, which computes K, and
    ``operate``, which applies the layer.

    Args:
        n_in (int): Channels that are normalized.
        n_out (int): Channels of the output.
        binary (bool): If ``False``, the block is the float twin: no sign, no
            binary weights, no K.  ``scaled``, ``input_scale`` and
            ``surrogate`` then have no effect.
        dropout (float): Ratio of the signs that training drops.
        scaled (bool or str): Whether the signs of the weights are scaled;
            ``'ste'``: with the plain straight-through gradient.
        input_scale (bool): Whether the result is multiplied by K, see
            :func:`~zoo.xnor_net.function_input_scale.input_scale`, before the
            bias.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.
        shift (bool): Whether sign and ReLU have learnable shifts, see
            :class:`~zoo.reactnet.link_shifted_bst.ShiftedBST` and
            :class:`~zoo.reactnet.link_rprelu.RPReLU`.
    """

    def __init__(self, n_in: int, n_out: int, binary: bool = True,
                 dropout: float = 0., scaled: bool | str = True,
                 input_scale: bool = False, surrogate: str = 'ste',
                 shift: bool = False):
        super().__init__()
        self.binary = binary
        self.dropout = dropout
        self.scaled = binary and scaled
        self.input_scale = binary and input_scale
        self.surrogate = surrogate
        self.shift = shift
        with self.init_scope():
            self.bn = link_batch_normalization.BatchNormalization(
                n_in, eps=1e-4)
            if binary and shift:
                self.sign = link_shifted_bst.ShiftedBST(n_in, surrogate)
            if self.input_scale:
                self.bias = L.Bias(shape=(n_out,))
            if shift:
                self.rprelu = link_rprelu.RPReLU(n_out)

    def make(self, float_link, binary_link, scaled_link, *sizes, initialW):
        """Makes the layer, without a bias of its own where K comes first."""
        options = {'nobias': self.input_scale, 'initialW': initialW}
        if self.scaled:
            return scaled_link(*sizes, scaled=self.scaled, **options)
        return (binary_link if self.binary else float_link)(*sizes, **options)

    @property
    def has_plain_sign(self) -> bool:
        """Whether only a sign follows batch normalization."""
        return self.binary and self.surrogate == 'ste' and not (
            self.shift or self.input_scale)

    def forward(self, x, activate: bool = True) -> chainer.Variable:
        """Applies the block.

        Args:
            x (~chainer.Variable or array): (batch, n_in, ...).
            activate: Whether to apply the ReLU, or what is in its place.

        Returns:
            ~chainer.Variable: (batch, n_out, ...).
        """
        if self.has_plain_sign:
            h = function_normalized_sign.normalized_sign(x, self.bn)
        else:
            h = self.bn(x)
            K = self.scale(h) if self.input_scale else None
            if self.binary:
                h = (self.sign(h) if self.shift
                     else sign.sign(h, self.surrogate))
        if self.dropout:
            h = function_dropout.dropout(h, self.dropout)
        h = self.operate(h)
        if self.input_scale:
            h = self.bias(h * K)
        if not activate:
            return h
        return self.rprelu(h) if self.shift else function_relu.relu(h)


class XNORConvolution2D(XNORBlock):
    """Block of a convolution, ``conv``; see :class:`XNORBlock`.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Number of filters.
        ksize, stride, pad (int or pair of ints): See
            :mod:`zoo.binarynet.function_binary_convolution_2d`; the padding
            is 0.
        initialW (initializer): Initial weights,
            :class:`~chainer.initializers.LeCunNormal` by default.
        options: ``binary``, ``dropout``, ``scaled``, ``input_scale``,
            ``surrogate``, ``shift`` of :class:`XNORBlock`.
    """

    def __init__(self, in_channels: int, out_channels: int, ksize, stride=1,
                 pad=0, initialW=None, **options):
        super().__init__(in_channels, out_channels, **options)
        self.geometry = ksize, stride, pad
        with self.init_scope():
            self.conv = self.make(
                link_convolution_2d.Convolution2D,
                link_binary_convolution_2d.BinaryConvolution2D,
                link_scaled_convolution_2d.ScaledConvolution2D,
                in_channels, out_channels, *self.geometry, initialW=initialW)

    def forward(self, x, rectify: bool = False,
                activate: bool = True) -> chainer.Variable:
        """Applies the block.

        Args:
            x (~chainer.Variable or array): (batch, n_in, h, w).
            rectify: Whether ReLU comes first.
            activate: Whether to apply the ReLU, or what is in its place.

        Returns:
            ~chainer.Variable: (batch, n_out, h_out, w_out).
        """
        # In a test each layer sees what it computes with.
        if self.has_plain_sign and not self.dropout and (
                self.bn.is_trained_by_kernels(x)):
            h = self.conv(x, self.bn, rectify)
            return function_relu.relu(h) if activate else h
        return super().forward(
            function_relu.relu(x) if rectify else x, activate)

    def scale(self, h):
        return function_input_scale.input_scale(h, *self.geometry)

    def operate(self, h):
        return self.conv(h)


def in_turn(x, *blocks: XNORConvolution2D) -> chainer.Variable:
    """Applies one block after the other.

    It is ``blocks[1](blocks[0](x))`` and so on, to the bit, and so are the
    gradients.  In training on a CPU the ReLU between two blocks is computed
    where the second one reads its input, and no pass over memory is for it;
    the second one has float32, a plain sign and no dropout then.

    Args:
        x (~chainer.Variable or array): (batch, channels, h, w).
        blocks: At least one.

    Returns:
        ~chainer.Variable: What the last block returns.
    """
    rectify = False
    for block in blocks:
        # In a test each block has its own ReLU, as its name says.
        is_last = block is blocks[-1] or block.shift
        activate = is_last or not chainer.config.train
        x = block(x, rectify, activate)
        rectify = not activate
    return x


class XNORLinear(XNORBlock):
    """Block of a fully connected layer, ``linear``; see :class:`XNORBlock`.

    Args:
        in_size (int): Number of inputs.
        out_size (int): Number of outputs.
        channels (int or None): Channels of an input of images, (batch,
            channels, h, w), over which it is normalized before it is
            flattened.  With ``None`` it is flattened first.
        initialW (initializer): See :class:`XNORConvolution2D`.
        options: See :class:`XNORConvolution2D`.
    """

    def __init__(self, in_size: int, out_size: int,
                 channels: int | None = None, initialW=None, **options):
        super().__init__(channels or in_size, out_size, **options)
        self.channels = channels
        with self.init_scope():
            self.linear = self.make(
                L.Linear, link_binary_linear.BinaryLinear,
                link_scaled_linear.ScaledLinear, in_size, out_size,
                initialW=initialW)

    def forward(self, x) -> chainer.Variable:
        if self.channels is None:
            x = function_binary_linear.flatten(x)
        return super().forward(x)

    def scale(self, h):
        return function_input_scale.linear_input_scale(h)

    def operate(self, h):
        return self.linear(h)
