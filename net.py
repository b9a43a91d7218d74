"""The binary multi-layer perceptron."""
import chainer

import bst
import link_binary_linear
from bnn.chainer_ops import link_batch_normalization


class BinaryMLP(chainer.Chain):
    """Binary weights and activations: the net of binary_net.

    Args:
        n_units (int): Units of each hidden layer.
        n_out (int): Number of classes.
        n_in (int): Number of inputs; an image's channels x height x width.
    """

    def __init__(self, n_units=1000, n_out=10, n_in=784):
        super().__init__()
        with self.init_scope():
            self.l1 = link_binary_linear.BinaryLinear(n_in, n_units)
            self.b1 = link_batch_normalization.BatchNormalization(n_units)
            self.l2 = link_binary_linear.BinaryLinear(n_units, n_units)
            self.b2 = link_batch_normalization.BatchNormalization(n_units)
            self.l3 = link_binary_linear.BinaryLinear(n_units, n_out)
            self.b3 = link_batch_normalization.BatchNormalization(n_out)

    def forward(self, x):
        """Computes the class scores of images, (batch, n_out)."""
        h = bst.bst(self.b1(self.l1(x)))
        h = bst.bst(self.b2(self.l2(h)))
        return self.b3(self.l3(h))
