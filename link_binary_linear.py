"""Fully connected layer with binary weights."""
import math

from chainer import initializers
from chainer import link
from chainer import variable

import function_binary_linear


class BinaryLinear(link.Link):
    """Linear layer that computes with the signs of its weights.

    Args:
        in_size (int or None): Number of inputs.  With ``None`` it is taken
            from the first input.
        out_size (int): Number of outputs.
        nobias (bool): If ``True``, there is no bias.
        initialW (initializer): Initial latent weights, N(0, 1/in_size) by
            default.
        initial_bias (initializer): Initial bias, 0 by default.

    Attributes:
        W (~chainer.Parameter): Latent weights, (out_size, in_size).
        b (~chainer.Parameter or None): Bias, (out_size,), not binarized.
        w_bits (int): Bits of a weight as the layer computes with it.
    """

    w_bits = 1

    def __init__(self, in_size, out_size, nobias=False, initialW=None,
                 initial_bias=None):
        super().__init__()
        if out_size < 1 or (in_size is not None and in_size < 1):
            raise ValueError(f'sizes must be positive: in_size={in_size}, '
                             f'out_size={out_size}')
        self.in_size = in_size
        self.out_size = out_size
        with self.init_scope():
            self.W = variable.Parameter(
                initializers._get_initializer(initialW))
            self.b = None if nobias else variable.Parameter(
                0 if initial_bias is None else initial_bias, out_size)
        if in_size is not None:
            self.W.initialize((out_size, in_size))

    def initialize_for(self, x):
        """Makes the weights of a lazy layer, for an input like ``x``."""
        if self.W.array is None:
            self.in_size = math.prod(x.shape[1:])
            self.W.initialize((self.out_size, self.in_size))

    @property
    def printable_specs(self):
        yield 'in_size', self.in_size
        yield 'out_size', self.out_size
        yield 'nobias', self.b is None

    def forward(self, x):
        """Applies the layer to (batch, ...); returns (batch, out_size)."""
        self.initialize_for(x)
        return function_binary_linear.binary_linear(x, self.W, self.b)
