"""Convolutional net of BinaryConnect and BinaryNet for CIFAR-10."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import initializers

import link_binary_linear
from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import link_batch_normalization
from bnn.deploy import operations
from zoo import description
from zoo.binarynet import link_binary_convolution_2d

KINDS = ('binary', 'binary-weight', 'float')


class ConvNet(chainer.Chain):

    """2x128C3 - MP2 - 2x256C3 - MP2 - 2x512C3 - MP2 - 2x1024FC - classes.

    Convolutions ``conv1`` to ``conv6`` (3x3, pad 1), a 2x2 max-pool behind
    each second one, and fully connected ``l7`` to ``l9``.  Each is followed
    by batch normalization, ``b1`` to ``b9`` (eps 1e-4), and all but the last
    by the activation (`BinaryConnect <https://arxiv.org/abs/1511.00363>`_,
    `BinaryNet <https://arxiv.org/abs/1602.02830>`_).  Weights are from
    :class:`~chainer.initializers.LeCunNormal` for the sign, from
    :class:`~chainer.initializers.HeNormal` for ReLU.

    Args:
        n_out (int): Number of classes.
        kind (str): ``'binary'``, binary weights and sign: BinaryNet, whose
            images stay float; ``'binary-weight'``, binary weights and ReLU:
            BinaryConnect; ``'float'``, float weights and ReLU.
        width (int): Filters of the first layer; the others are multiples.
        surrogate (str): Gradient of the sign, see :func:`bst.bst`.
        pad_value (int): What the padding of the signs is, 0 or 1, see
            :func:`~zoo.binarynet.function_binary_convolution_2d.binary_convolution_2d`;
            that of images and of what ReLU gives is 0.
        stochastic (bool): Whether training draws the binary weights.

    Raises:
        ValueError: If there is no such kind.
    """

    def __init__(self, n_out=10, kind='binary', width=128, surrogate='ste',
                 pad_value=0, stochastic=False):
        if kind not in KINDS:
            raise ValueError(
                'no kind %r; there are: %s' % (kind, ', '.join(KINDS)))
        super().__init__()
        self.kind = kind
        self.surrogate = surrogate
        if kind == 'float':
            convolution, linear, options = L.Convolution2D, L.Linear, {}
        else:
            convolution = link_binary_convolution_2d.BinaryConvolution2D
            linear = link_binary_linear.BinaryLinear
            options = {'stochastic': stochastic}
        if kind != 'binary':
            options['initialW'] = initializers.HeNormal()
        channels = [3] + [width * n for n in (1, 1, 2, 2, 4, 4)]
        sizes = [channels[6] * 4 * 4, 8 * width, 8 * width, n_out]
        with self.init_scope():
            for i in range(1, 7):
                padding = {'pad': 1}
                if kind == 'binary' and i > 1:
                    padding['pad_value'] = pad_value
                setattr(self, 'conv%d' % i, convolution(
                    channels[i - 1], channels[i], 3, **padding, **options))
            for i in range(7, 10):
                setattr(self, 'l%d' % i, linear(
                    sizes[i - 7], sizes[i - 6], **options))
            for i, size in enumerate(channels[1:] + sizes[1:], 1):
                setattr(self, 'b%d' % i, (
                    link_batch_normalization.BatchNormalization(
                        size, eps=1e-4)))

    def activate(self, i, x):
        """Applies batch normalization ``i`` and the activation."""
        normalize = self['b%d' % i]
        if self.kind == 'binary':
            return link_batch_normalization.binarize(
                normalize, x, self.surrogate)
        return F.relu(normalize(x))

    def forward(self, x):
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = x
        for i in range(1, 7):
            h = self['conv%d' % i](h)
            if i % 2 == 0:
                h = function_max_pooling_2d.max_pooling_2d(h, 2)
            h = self.activate(i, h)
        h = self.activate(7, self.l7(h))
        h = self.activate(8, self.l8(h))
        return self.b9(self.l9(h))

    def describe(self):
        """Describes the net, see :func:`zoo.description.of`."""
        activation = (operations.Sign if self.kind == 'binary' else
                      operations.ReLU)
        found = []
        for i in range(1, 10):
            if i == 7:
                found.append(operations.Flatten())
            found += description.of(self['%s%d' % (
                'conv' if i < 7 else 'l', i)])
            if i in (2, 4, 6):
                found.append(description.max_pooling(2))
            found += description.of(self['b%d' % i])
            if i < 9:
                found.append(activation())
        return found
