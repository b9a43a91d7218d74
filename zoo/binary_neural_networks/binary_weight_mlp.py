"""Multi-layer perceptron with binary weights and float activations."""
import chainer
from chainer import initializers

import link_binary_linear
from zoo import mlp
from zoo.binarynet import link_stochastic_linear


class BinaryWeightMLP(mlp.MLP):
    """Binary weights and ReLU: the binarized net of Binary-Neural-Networks.

    The method is `BinaryConnect <https://arxiv.org/abs/1511.00363>`_.

    Args:
        n_units (int): Units of each hidden layer.
        n_out, n_in, n_layers, batch_norm, dropout_input, dropout_hidden: See
            :class:`~zoo.mlp.MLP`.
        stochastic (bool): Whether training draws the weights.
    """

    def __init__(self, n_units: int = 2048, *args, stochastic: bool = False,
                 **kwargs):
        self.stochastic = stochastic
        super().__init__(n_units, *args, **kwargs)

    def linear(self, n_in: int, n_out: int) -> chainer.Link:
        kind = (link_stochastic_linear.StochasticLinear if self.stochastic
                else link_binary_linear.BinaryLinear)
        return kind(n_in, n_out, initialW=initializers.HeNormal())
