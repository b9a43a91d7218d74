"""Fully connected layer whose binary weights training draws."""
import math

import chainer
import chainer.functions as F

import function_binary_linear
import link_binary_linear
from zoo.binarynet import function_binarize


class StochasticLinear(link_binary_linear.BinaryLinear):
    """Linear layer that draws its binary weights in training.

    While ``chainer.config.train`` is on, each forward pass draws the weights
    anew from the latent weights ``W``, see
    :func:`~zoo.binarynet.function_binarize.binarize`.  Arguments are those of
    :class:`~link_binary_linear.BinaryLinear`, and so are the other
    attributes.

    Attributes:
        test_weights (str): What stands for the draws where
            ``chainer.config.train`` is off, one of
            :data:`zoo.binarynet.drawn_weights.KINDS`; ``'signs'`` at first.
    """

    test_weights = 'signs'

    def forward(self, x) -> chainer.Variable:
        if self.W.array is None:
            self._initialize(math.prod(x.shape[1:]))
        W = self.W
        if chainer.config.train or self.test_weights == 'mean':
            # The operation takes the signs of what was drawn, which are the
            # draws themselves.
            W = function_binarize.binarize(W, stochastic=True)
        elif self.test_weights == 'real':
            return F.linear(x, W, self.b)
        return function_binary_linear.binary_linear(x, W, self.b)
