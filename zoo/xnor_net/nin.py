"""Network in Network of XNOR-Net, for CIFAR-10 and for ImageNet."""
import functools

import chainer
import chainer.functions as F
import chainer.links as L
from chainer import initializers

from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import link_batch_normalization
from bnn.deploy import operations
from zoo import description
from zoo.xnor_net import link_xnor_block


class NIN(chainer.Chain):

    """NIN with binary middle layers for CIFAR-10, as XNOR-Net-PyTorch has it.

    Convolution (192 5x5), batch normalization, ReLU; blocks of
    :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`: 160 1x1, 96 1x1;
    max-pool; 192 5x5, 192 1x1, 192 1x1; average-pool; 192 3x3, 192 1x1; batch normalization,
    convolution to the classes (1x1), ReLU, mean over the image.  What is
    wider than 1x1 keeps the size of the image, the two pools (3x3, stride 2,
    pad 1, padding counted in the average) halve it; dropout is 0.5 in the
    5x5 and the 3x3 block; first and last layer are float.  Weights from
    N(0, 0.05^2) (`Network In Network <https://arxiv.org/abs/1312.4400>`_,
    `XNOR-Net <https://arxiv.org/abs/1603.05279>`_).

    Args:
        n_out (int): Number of classes.
        binary (bool): If ``False``, nothing is binarized: the baseline.
        options: ``scaled``, ``input_scale``, ``surrogate``, ``shift`` of
            :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`.
    """

    def __init__(self, n_out=10, binary=True, **options):
        super().__init__()
        self.binary = binary
        initialW = initializers.Normal(.05)
        block = functools.partial(
            link_xnor_block.XNORConvolution2D, initialW=initialW,
            binary=binary, **options)
        with self.init_scope():
            self.conv1 = L.Convolution2D(3, 192, 5, pad=2, initialW=initialW)
            self.bn1 = _fixed_batch_normalization(192)
            self.block2 = block(192, 160, 1)
            self.block3 = block(160, 96, 1)
            self.block4 = block(96, 192, 5, pad=2, dropout=.5)
            self.block5 = block(192, 192, 1)
            self.block6 = block(192, 192, 1)
            self.block7 = block(192, 192, 3, pad=1, dropout=.5)
            self.block8 = block(192, 192, 1)
            self.bn9 = _fixed_batch_normalization(192)
            self.conv9 = L.Convolution2D(192, n_out, 1, initialW=initialW)

    def forward(self, x):
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = F.relu(self.bn1(self.conv1(x)))
        h = self.block3(self.block2(h))
        # Rounded down, as where the net comes from: 16 and 8, not 17 and 9
        h = F.max_pooling_2d(h, 3, 2, pad=1, cover_all=False)
        h = self.block6(self.block5(self.block4(h)))
        h = F.average_pooling_2d(h, 3, 2, pad=1)
        h = self.block8(self.block7(h))
        h = F.relu(self.conv9(self.bn9(h)))
        return F.mean(h, axis=(2, 3))

    def describe(self):
        """Describes the net, see :func:`zoo.description.of`."""
        return _describe(
            self, {3: description.max_pooling(3, 2, 1, cover_all=False),
                   6: description.average_pooling(3, 2, 1)}, 9)


class NINImageNet(chainer.Chain):

    """NIN with binary middle layers for ImageNet.

    The NIN of Caffe's model zoo: 96 11x11 stride 4, 96 1x1, 96 1x1;
    max-pool; 256 5x5 pad 2, 256 1x1, 256 1x1; max-pool; 384 3x3 pad 1, 384
    1x1, 384 1x1; max-pool; 1024 3x3 pad 1 with dropout 0.5, 1024 1x1, and
    1x1 to the classes, with ReLU; mean over the image.  Pools are 3x3,
    stride 2, rounded up.  The first layer is float with batch normalization
    and ReLU, the last float behind batch normalization, those between are
    blocks of :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`, as in
    :class:`NIN`, with its weights.

    Args:
        n_out (int): Number of classes.
        binary, options: See :class:`NIN`.
    """

    def __init__(self, n_out=1000, binary=True, **options):
        super().__init__()
        self.binary = binary
        initialW = initializers.Normal(.05)
        block = functools.partial(
            link_xnor_block.XNORConvolution2D, initialW=initialW,
            binary=binary, **options)
        with self.init_scope():
            self.conv1 = L.Convolution2D(
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
            self.conv12 = L.Convolution2D(1024, n_out, 1, initialW=initialW)

    def forward(self, x):
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float
                (batch, 3, 227, 227); other sizes do too.

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = F.relu(self.bn1(self.conv1(x)))
        h = self.block3(self.block2(h))
        h = function_max_pooling_2d.max_pooling_2d(h, 3, 2)
        h = self.block6(self.block5(self.block4(h)))
        h = function_max_pooling_2d.max_pooling_2d(h, 3, 2)
        h = self.block9(self.block8(self.block7(h)))
        h = function_max_pooling_2d.max_pooling_2d(h, 3, 2)
        h = self.block11(self.block10(h))
        h = F.relu(self.conv12(self.bn12(h)))
        return F.mean(h, axis=(2, 3))

    def describe(self):
        """Describes the net, see :func:`zoo.description.of`."""
        return _describe(self, dict.fromkeys(
            (3, 6, 9), description.max_pooling(3, 2)), 12)


def _describe(net, pools, last):
    """Lists the operations, with pools behind blocks of these numbers."""
    found = [*description.of(net.conv1), *description.of(net.bn1),
             operations.ReLU()]
    for i in range(2, last):
        found += description.of(net['block%d' % i])
        if i in pools:
            found.append(pools[i])
    return found + [
        *description.of(net['bn%d' % last]),
        *description.of(net['conv%d' % last]), operations.ReLU(),
        operations.Mean()]


def _fixed_batch_normalization(n_channels):
    return link_batch_normalization.BatchNormalization(
        n_channels, eps=1e-4, use_gamma=False, use_beta=False)
