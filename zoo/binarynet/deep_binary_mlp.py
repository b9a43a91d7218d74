"""The binary multi-layer perceptron at any depth, with its options."""
import chainer

import link_binary_linear
from zoo import mlp
from zoo.binarynet import link_stochastic_linear
from zoo.surrogates import sign


class DeepBinaryMLP(mlp.MLP):
    """Binary weights and activations, as in BinaryNet.

    With its defaults it is :class:`net.BinaryMLP`, to the bit.  The paper's
    MNIST net has three hidden layers of 4096 units and dropout
    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, section 2.1).

    Args:
        n_units (int): Units of each hidden layer.
        n_out, n_in, n_layers, batch_norm, dropout_input, dropout_hidden: See
            :class:`~zoo.mlp.MLP`.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.
        stochastic (bool): Whether training draws the weights.
    """

    def __init__(self, n_units: int = 1000, *args, surrogate: str = 'ste',
                 stochastic: bool = False, **kwargs):
        self.surrogate = surrogate
        self.stochastic = stochastic
        super().__init__(n_units, *args, **kwargs)

    def linear(self, n_in: int, n_out: int) -> chainer.Link:
        kind = (link_stochastic_linear.StochasticLinear if self.stochastic
                else link_binary_linear.BinaryLinear)
        return kind(n_in, n_out)

    def activate(self, x: chainer.Variable) -> chainer.Variable:
        return sign.sign(x, self.surrogate)
