"""Network in Network of XNOR-Net, for CIFAR-10 and for ImageNet."""
import functools

import chainer
import chainer.functions as F
from chainer import initializers

from bnn.chainer_ops import function_average_pooling_2d
from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.xnor_net import function_normalized_relu
from zoo.xnor_net import link_xnor_block


class NIN(chainer.Chain):
    """NIN with binary middle layers for CIFAR-10, as XNOR-Net-PyTorch has it.

    In this order: convolution (192 5x5), batch normalization, ReLU; blocks of
    160 1x1, 96 1x1; max-pool; blocks of 192 5x5, 192 1x1, 192 1x1;
    average-pool; blocks of 192 3x3, 192 1x1; batch normalization, convolution
    to the classes (1x1), ReLU, mean over the image.

    The blocks are :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`; those of
    5x5 and 3x3 have dropout 0.5.  Filters wider than 1x1 are padded so that
    the image keeps its size.  The pools are 3x3 with stride 2 and padding 1,
    which counts in the average.  The first and the last layer are float.  The
    initial weights are from N(0, 0.05^2) (`Network In Network
    <https://arxiv.org/abs/1312.4400>`_, `XNOR-Net
    <https://arxiv.org/abs/1603.05279>`_).

    Args:
        n_out (int): Number of classes.
        binary (bool): If ``False``, nothing is binarized, which is the
            baseline.
        options: ``scaled``, ``input_scale``, ``surrogate``, ``shift`` of
            :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`.
    """

    def __init__(self, n_out: int = 10, binary: bool = True, **options):
        super().__init__()
        initialW = initializers.Normal(.05)
        block = functools.partial(
            link_xnor_block.XNORConvolution2D, initialW=initialW,
            binary=binary, **options)
        with self.init_scope():
            self.conv1 = link_convolution_2d.Convolution2D(
                3, 192, 5, pad=2, initialW=initialW)
            self.bn1 = _fixed_batch_normalization(192)
            self.block2 = block(192, 160, 1)
            self.block3 = block(160, 96, 1)
            self.block4 = block(96, 192, 5, pad=2, dropout=.5)
            self.block5 = block(192, 192, 1)
            self.block6 = block(192, 192, 1)
            self.block7 = block(192, 192, 3, pad=1, dropout=.5)
            self.block8 = block(192, 192, 1)
            self.bn9 = _fixed_batch_normalization(192)
            self.conv9 = link_convolution_2d.Convolution2D(
                192, n_out, 1, initialW=initialW)

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = function_normalized_relu.normalized_relu(self.conv1(x), self.bn1)
        h = link_xnor_block.in_turn(h, self.block2, self.block3)
        # XNOR-Net-PyTorch's pools round down: 16 and 8, not 17 and 9.
        h = function_max_pooling_2d.max_pooling_2d(
            h, 3, 2, pad=1, cover_all=False)
        h = link_xnor_block.in_turn(
            h, self.block4, self.block5, self.block6)
        h = function_average_pooling_2d.average_pooling_2d(h, 3, 2, pad=1)
        h = link_xnor_block.in_turn(h, self.block7, self.block8)
        h = function_relu.relu(self.conv9(self.bn9(h)))
        return F.mean(h, axis=(2, 3))


class NINImageNet(chainer.Chain):
    """NIN with binary middle layers for ImageNet.

    The layers are those of the NIN in Caffe's model zoo: 96 11x11 stride 4,
    96 1x1, 96 1x1; max-pool; 256 5x5 pad 2, 256 1x1, 256 1x1; max-pool; 384
    3x3 pad 1, 384 1x1, 384 1x1; max-pool; 1024 3x3 pad 1 with dropout 0.5,
    1024 1x1, 1x1 to the classes with ReLU; mean over the image.  The pools
    are 3x3 with stride 2 and round up.

    As in :class:`NIN`, the first layer is float, before batch normalization
    and ReLU, and the last is float, after batch normalization.  Those between
    are blocks.  The initial weights are those of :class:`NIN`.

    Args:
        n_out (int): Number of classes.
        binary, options: See :class:`NIN`.
    """

    def __init__(self, n_out: int = 1000, binary: bool = True, **options):
        super().__init__()
        initialW = initializers.Normal(.05)
        block = functools.partial(
            link_xnor_block.XNORConvolution2D, initialW=initialW,
            binary=binary, **options)
        with self.init_scope():
            self.conv1 = link_convolution_2d.Convolution2D(
                3, 96, 11, stride=4, initialW=initialW)
            self.bn1 = _fixed_batch_normalization(96)
            self.block2 = block(96, 96, 1)
            self.block3 = block(96, 96, 1)
            self.block4 = block(96, 256, 5, pad=2)
            self.block5 = block(256, 256, 1)
            self.block6 = block(256, 256, 1)
            self.block7 = block(256, 384, 3, pad=1)
            self.block8 = block(384, 384, 1)
            self.block9 = block(384, 384, 1)
            self.block10 = block(384, 1024, 3, pad=1, dropout=.5)
            self.block11 = block(1024, 1024, 1)
            self.bn12 = _fixed_batch_normalization(1024)
            self.conv12 = link_convolution_2d.Convolution2D(
                1024, n_out, 1, initialW=initialW)

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float
                (batch, 3, 227, 227); other sizes work too.

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = function_normalized_relu.normalized_relu(self.conv1(x), self.bn1)
        h = link_xnor_block.in_turn(h, self.block2, self.block3)
        h = function_max_pooling_2d.max_pooling_2d(h, 3, 2)
        h = link_xnor_block.in_turn(
            h, self.block4, self.block5, self.block6)
        h = function_max_pooling_2d.max_pooling_2d(h, 3, 2)
        h = link_xnor_block.in_turn(
            h, self.block7, self.block8, self.block9)
        h = function_max_pooling_2d.max_pooling_2d(h, 3, 2)
        h = link_xnor_block.in_turn(h, self.block10, self.block11)
        h = function_relu.relu(self.conv12(self.bn12(h)))
        return F.mean(h, axis=(2, 3))


def _fixed_batch_normalization(n_channels):
    return link_batch_normalization.BatchNormalization(
        n_channels, eps=1e-4, use_gamma=False, use_beta=False)
