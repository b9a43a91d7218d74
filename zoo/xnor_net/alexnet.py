"""AlexNet of XNOR-Net, binary and float."""
import functools

import chainer
import chainer.links as L
from chainer import initializer
from chainer import initializers

from bnn.chainer_ops import function_dropout
from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.xnor_net import function_normalized_relu
from zoo.xnor_net import link_xnor_block


class _Normal(initializer.Initializer):
    """N(0, (2/n)^2) with the n weights of a filter."""

    def __call__(self, array):
        initializers.Normal(2 / array[0].size)(array)


class AlexNet(chainer.Chain):
    """AlexNet with binary middle layers, as XNOR-Net-PyTorch has it.

    In this order: convolution (96 11x11 stride 4), batch normalization (eps
    1e-4), ReLU, max-pool; a block of 256 5x5 pad 2; max-pool; blocks of 384,
    384, 256 3x3 pad 1; max-pool; a linear block of 4096, normalized over its
    9216 inputs, and one of 4096 with dropout 0.5; batch normalization (eps
    1e-3), dropout 0.5, linear to the classes.

    The blocks are :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`.  The
    pools are 3x3 with stride 2.  The first and the last layer are float.  The
    initial weights are from N(0, (2/n)^2), with n weights in a filter
    (`XNOR-Net <https://arxiv.org/abs/1603.05279>`_).

    Args:
        n_out (int): Number of classes.
        binary (bool): If ``False``, nothing is binarized, which is the
            baseline.
        n_units (int): Units of each linear block.
        options: ``scaled``, ``input_scale``, ``surrogate``, ``shift`` of
            :class:`~zoo.xnor_net.link_xnor_block.XNORBlock`.
    """

    def __init__(self, n_out: int = 1000, binary: bool = True,
                 n_units: int = 4096, **options):
        super().__init__()
        options = {'initialW': _Normal(), 'binary': binary, **options}
        block = functools.partial(
            link_xnor_block.XNORConvolution2D, **options)
        linear = functools.partial(link_xnor_block.XNORLinear, **options)
        with self.init_scope():
            self.conv1 = link_convolution_2d.Convolution2D(
                3, 96, 11, stride=4, initialW=_Normal())
            self.bn1 = link_batch_normalization.BatchNormalization(
                96, eps=1e-4)
            self.block2 = block(96, 256, 5, pad=2)
            self.block3 = block(256, 384, 3, pad=1)
            self.block4 = block(384, 384, 3, pad=1)
            self.block5 = block(384, 256, 3, pad=1)
            self.block6 = linear(256 * 6 * 6, n_units)
            self.block7 = linear(n_units, n_units, dropout=.5)
            self.bn8 = link_batch_normalization.BatchNormalization(
                n_units, eps=1e-3)
            self.l8 = L.Linear(n_units, n_out, initialW=_Normal())

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float
                (batch, 3, 227, 227).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = function_normalized_relu.normalized_relu(self.conv1(x), self.bn1)
        h = function_max_pooling_2d.max_pooling_2d(h, 3, 2)
        h = function_max_pooling_2d.max_pooling_2d(self.block2(h), 3, 2)
        h = link_xnor_block.in_turn(
            h, self.block3, self.block4, self.block5)
        h = function_max_pooling_2d.max_pooling_2d(h, 3, 2)
        h = self.block7(self.block6(h))
        return self.l8(function_dropout.dropout(self.bn8(h), .5))
