"""Shallow convolutional net for CIFAR-10, binary weights and float."""
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


class ShallowConvNet(chainer.Chain):

    """The CIFAR-10 net of Binary-Neural-Networks.

    Three convolutions, ``conv1`` to ``conv3`` (50, 100, 200 3x3, pad 1),
    each with ReLU and 2x2 max-pool; fully connected ``l4`` (500), ReLU, and
    ``l5`` (classes).  Biases, weights from He's normal distribution
    (`BinaryConnect <https://arxiv.org/abs/1511.00363>`_: binary weights,
    float activations).

    Args:
        n_out (int): Number of classes.
        binary (bool): Whether the weights of all five layers are binary;
            otherwise they are float: the baseline.
        stochastic (bool): Whether training draws the binary weights.
        batch_norm (bool): Whether batch normalization, ``b1`` to ``b5``,
            follows each layer, the last one too, before the ReLU.  The seed
            has none.
    """

    def __init__(self, n_out=10, binary=True, stochastic=False,
                 batch_norm=False):
        super().__init__()
        self.batch_norm = batch_norm
        options = {'initialW': initializers.HeNormal()}
        if binary:
            convolution = link_binary_convolution_2d.BinaryConvolution2D
            linear = link_binary_linear.BinaryLinear
            options['stochastic'] = stochastic
        else:
            convolution, linear = L.Convolution2D, L.Linear
        with self.init_scope():
            self.conv1 = convolution(3, 50, 3, pad=1, **options)
            self.conv2 = convolution(50, 100, 3, pad=1, **options)
            self.conv3 = convolution(100, 200, 3, pad=1, **options)
            self.l4 = linear(200 * 4 * 4, 500, **options)
            self.l5 = linear(500, n_out, **options)
            if batch_norm:
                for i, size in enumerate((50, 100, 200, 500, n_out), 1):
                    setattr(self, 'b%d' % i, (
                        link_batch_normalization.BatchNormalization(size)))

    def normalize(self, i, x):
        """Applies the batch normalization of layer ``i``, if there is any."""
        return self['b%d' % i](x) if self.batch_norm else x

    def forward(self, x):
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = x
        for i in 1, 2, 3:
            h = F.relu(self.normalize(i, self['conv%d' % i](h)))
            h = function_max_pooling_2d.max_pooling_2d(h, 2)
        h = F.relu(self.normalize(4, self.l4(h)))
        return self.normalize(5, self.l5(h))

    def describe(self):
        """Describes the net, see :func:`zoo.description.of`."""
        found = []
        for i in range(1, 6):
            if i == 4:
                found.append(operations.Flatten())
            found += description.of(self['%s%d' % (
                'conv' if i < 4 else 'l', i)])
            if self.batch_norm:
                found += description.of(self['b%d' % i])
            if i < 5:
                found.append(operations.ReLU())
            if i < 4:
                found.append(description.max_pooling(2))
        return found
