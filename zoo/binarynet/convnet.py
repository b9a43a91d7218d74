"""Convolutional net of BinaryConnect and BinaryNet for CIFAR-10."""
import functools

import chainer
import chainer.links as L
from chainer import initializers

import link_binary_linear
from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.binarynet import function_normalized_sign
from zoo.binarynet import link_binary_convolution_2d
from zoo.binarynet import link_stochastic_linear
from zoo.surrogates import sign

KINDS = ('binary', 'binary-weight', 'float')


class ConvNet(chainer.Chain):
    """2x128C3 - MP2 - 2x256C3 - MP2 - 2x512C3 - MP2 - 2x1024FC - classes.

    The convolutions ``conv1`` to ``conv6`` are 3x3 with padding 1.  A 2x2
    max-pool follows each second one.  ``l7`` to ``l9`` are fully connected.
    Batch normalization, ``b1`` to ``b9`` (eps 1e-4), follows each layer, and
    the activation all but the last (`BinaryConnect
    <https://arxiv.org/abs/1511.00363>`_, `BinaryNet
    <https://arxiv.org/abs/1602.02830>`_, section 2.3).  The initial weights
    are from :class:`~chainer.initializers.LeCunNormal` where the activation
    is the sign, and from :class:`~chainer.initializers.HeNormal` where it is
    ReLU.

    Args:
        n_out (int): Number of classes.
        kind (str): ``'binary'``: binary weights and sign, which is BinaryNet;
            ``'binary-weight'``: binary weights and ReLU, which is
            BinaryConnect; ``'float'``: float weights and ReLU.
        width (int): Filters of the first layer; the others are multiples.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.
        pad_value (int): What the padding of the signs is, 0 or 1.  The
            padding of images and of the output of ReLU is 0.
        stochastic (bool): Whether training draws the binary weights.

    Raises:
        ValueError: If there is no such kind.
    """

    def __init__(self, n_out: int = 10, kind: str = 'binary',
                 width: int = 128, surrogate: str = 'ste', pad_value: int = 0,
                 stochastic: bool = False):
        if kind not in KINDS:
            raise ValueError(
                f'no kind {kind!r}; there are: {", ".join(KINDS)}')
        super().__init__()
        self.kind = kind
        self.surrogate = surrogate
        options = {} if kind == 'binary' else {
            'initialW': initializers.HeNormal()}
        if kind == 'float':
            convolution, linear = link_convolution_2d.Convolution2D, L.Linear
        else:
            convolution = functools.partial(
                link_binary_convolution_2d.BinaryConvolution2D,
                stochastic=stochastic)
            linear = (link_stochastic_linear.StochasticLinear if stochastic
                      else link_binary_linear.BinaryLinear)
        channels = [3] + [width * n for n in (1, 1, 2, 2, 4, 4)]
        sizes = [channels[6] * 4 * 4, 8 * width, 8 * width, n_out]
        with self.init_scope():
            for i in range(1, 7):
                padding = {'pad': 1}
                if kind == 'binary' and i > 1:
                    padding['pad_value'] = pad_value
                setattr(self, f'conv{i}', convolution(
                    channels[i - 1], channels[i], 3, **padding, **options))
            for i in range(7, 10):
                setattr(self, f'l{i}', linear(
                    sizes[i - 7], sizes[i - 6], **options))
            for i, size in enumerate(channels[1:] + sizes[1:], 1):
                setattr(self, f'b{i}', (
                    link_batch_normalization.BatchNormalization(
                        size, eps=1e-4)))

    def activate(self, x: chainer.Variable, i: int) -> chainer.Variable:
        """Applies batch normalization ``i`` and the activation."""
        bn = self[f'b{i}']
        if self.kind != 'binary':
            return function_relu.relu(bn(x))
        if self.surrogate == 'ste':
            return function_normalized_sign.normalized_sign(x, bn)
        return sign.sign(bn(x), self.surrogate)

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = x
        for i in range(1, 7):
            h = self[f'conv{i}'](h)
            if i % 2 == 0:
                h = function_max_pooling_2d.max_pooling_2d(h, 2)
            h = self.activate(h, i)
        h = self.activate(self.l7(h), 7)
        h = self.activate(self.l8(h), 8)
        return self.b9(self.l9(h))
