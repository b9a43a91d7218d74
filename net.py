"""The binary multi-layer perceptron."""
from typing import Any

import chainer

import bst
import link_binary_linear
from bnn.chainer_ops import link_batch_normalization


class BinaryMLP(chainer.Chain):
    """Perceptron with binary weights and binary activations.

    Each layer is linear with binary weights, then batch normalization, the
    last one too; the sign stands between the layers
    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_; binary_net has
    784-1000-1000-10).  The input is not binarized.

    Args:
        n_units: Units of each of the two hidden layers.
        n_out: Number of classes.
        n_in: Number of inputs, the pixels of an image.

    Raises:
        ValueError: If a size is not positive.
    """

    def __init__(self, n_units: int = 1000, n_out: int = 10, n_in: int = 784
                 ) -> None:
        super().__init__()
        with self.init_scope():
            self.l1 = link_binary_linear.BinaryLinear(n_in, n_units)
            self.b1 = link_batch_normalization.BatchNormalization(n_units)
            self.l2 = link_binary_linear.BinaryLinear(n_units, n_units)
            self.b2 = link_batch_normalization.BatchNormalization(n_units)
            self.l3 = link_binary_linear.BinaryLinear(n_units, n_out)
            self.b3 = link_batch_normalization.BatchNormalization(n_out)

    def forward(self, x: Any) -> chainer.Variable:
        """Computes the class scores.

        Args:
            x (~chainer.Variable or array): Images, float (batch, ...);
                flattened from axis 1.

        Returns:
            Scores before the softmax, (batch, n_out).
        """
        h = bst.bst(self.b1(self.l1(x)))
        h = bst.bst(self.b2(self.l2(h)))
        return self.b3(self.l3(h))
