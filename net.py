"""Multi-layer perceptrons for MNIST."""
import chainer
import chainer.links as L

import bst
import link_binary_linear


class BinaryMLP(chainer.Chain):

    """Binary weights and activations: the net of binary_net.

    Two hidden layers, each a binary linear layer, batch normalization and
    sign; then a binary linear layer to the classes, batch normalization on
    these too (`BinaryNet <https://arxiv.org/abs/1602.02830>`_; the seed's
    784-1000-1000-10).

    Args:
        n_units (int): Units of each hidden layer.
        n_out (int): Number of classes.
        n_in (int): Number of inputs; an image's channels x height x width.

    Raises:
        ValueError: If a size is not positive.
    """

    def __init__(self, n_units=1000, n_out=10, n_in=784):
        super().__init__()
        with self.init_scope():
            self.l1 = link_binary_linear.BinaryLinear(n_in, n_units)
            self.b1 = L.BatchNormalization(n_units)
            self.l2 = link_binary_linear.BinaryLinear(n_units, n_units)
            self.b2 = L.BatchNormalization(n_units)
            self.l3 = link_binary_linear.BinaryLinear(n_units, n_out)
            self.b3 = L.BatchNormalization(n_out)

    def forward(self, x):
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images in [0, 1], float
                (batch, ...); flattened from axis 1.

        Returns:
            ~chainer.Variable: Scores before the softmax, (batch, n_out).
        """
        h = bst.bst(self.b1(self.l1(x)))
        h = bst.bst(self.b2(self.l2(h)))
        return self.b3(self.l3(h))
