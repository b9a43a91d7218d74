"""Shallow convolutional net for CIFAR-10, binary weights and float."""
import functools

import chainer
import chainer.links as L
from chainer import initializers

import link_binary_linear
from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.chainer_ops import link_convolution_2d
from zoo.binarynet import link_binary_convolution_2d
from zoo.binarynet import link_stochastic_linear


class ShallowConvNet(chainer.Chain):
    """The CIFAR-10 net of Binary-Neural-Networks.

    The convolutions ``conv1`` to ``conv3`` have 50, 100 and 200 filters, 3x3
    with padding 1.  ReLU and a 2x2 max-pool follow each of them.  The fully
    connected ``l4`` has 500 units and ReLU; ``l5`` gives the scores.  All
    layers have biases.  The initial weights are from He's normal
    distribution.  Binary weights with float activations are `BinaryConnect
    <https://arxiv.org/abs/1511.00363>`_.

    Args:
        n_out (int): Number of classes.
        binary (bool): Whether the weights of all five layers are binary.
            With ``False`` they are float, which is the baseline.
        stochastic (bool): Whether training draws the binary weights.
        batch_norm (bool): Whether batch normalization, ``b1`` to ``b5``,
            follows each layer, before the ReLU.  Binary-Neural-Networks has
            none.
    """

    def __init__(self, n_out: int = 10, binary: bool = True,
                 stochastic: bool = False, batch_norm: bool = False):
        super().__init__()
        self.batch_norm = batch_norm
        options = {'initialW': initializers.HeNormal()}
        if binary:
            convolution = functools.partial(
                link_binary_convolution_2d.BinaryConvolution2D,
                stochastic=stochastic)
            linear = (link_stochastic_linear.StochasticLinear if stochastic
                      else link_binary_linear.BinaryLinear)
        else:
            convolution, linear = link_convolution_2d.Convolution2D, L.Linear
        with self.init_scope():
            self.conv1 = convolution(3, 50, 3, pad=1, **options)
            self.conv2 = convolution(50, 100, 3, pad=1, **options)
            self.conv3 = convolution(100, 200, 3, pad=1, **options)
            self.l4 = linear(200 * 4 * 4, 500, **options)
            self.l5 = linear(500, n_out, **options)
            if batch_norm:
                for i, size in enumerate((50, 100, 200, 500, n_out), 1):
                    setattr(self, f'b{i}', (
                        link_batch_normalization.BatchNormalization(size)))

    def normalize(self, i: int, x: chainer.Variable) -> chainer.Variable:
        """Applies the batch normalization of layer ``i``, if there is any."""
        return self[f'b{i}'](x) if self.batch_norm else x

    def forward(self, x) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, 3, 32, 32).

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = x
        for i in 1, 2, 3:
            h = function_relu.relu(self.normalize(i, self[f'conv{i}'](h)))
            h = function_max_pooling_2d.max_pooling_2d(h, 2)
        h = function_relu.relu(self.normalize(4, self.l4(h)))
        return self.normalize(5, self.l5(h))
