"""Fully connected layer whose binary weights training draws."""
import math

import chainer

import function_binary_linear
import link_binary_linear
from zoo.binarynet import function_binarize


class StochasticLinear(link_binary_linear.BinaryLinear):
    """Linear layer that draws its binary weights in training.

    While ``chainer.config.train`` is on, each forward pass draws the weights
    anew from the latent weights ``W``; otherwise they are the signs of
    ``W``.  See :func:`~zoo.binarynet.function_binarize.binarize`.  Arguments
    and attributes are those of :class:`~link_binary_linear.BinaryLinear`.
    """

    def forward(self, x) -> chainer.Variable:
        if self.W.array is None:
            self._initialize(math.prod(x.shape[1:]))
        W = self.W
        if chainer.config.train:
            # The operation takes the signs of what was drawn, which are the
            # draws themselves.
            W = function_binarize.binarize(W, stochastic=True)
        return function_binary_linear.binary_linear(x, W, self.b)
