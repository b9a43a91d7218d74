"""Fully connected layer with binary weights."""
import math

from chainer import initializers
from chainer import link
from chainer import variable

import function_binary_linear
from bnn.deploy import operations
from zoo import description


class BinaryLinear(link.Link):

    r"""Linear layer that computes with the signs of its weights.

    ``y = x sign(W)^T + b``, see
    :func:`~function_binary_linear.binary_linear`.  ``W`` holds the latent
    weights that the optimizer updates.  Nothing in the layer bounds them:
    add a :class:`~weight_clip.WeightClip` to the optimizer.

    Args:
        in_size (int or None): Number of inputs.  With ``None`` it is taken
            from the first input.
        out_size (int): Number of outputs.
        nobias (bool): If ``True``, there is no bias.
        initialW (initializer): Initial latent weights.
            :class:`~chainer.initializers.LeCunNormal`, N(0, 1/in_size), by
            default.
        initial_bias (initializer): Initial bias, 0 by default.
        stochastic (bool): If ``True``, the weights are drawn in training.
        scaled (bool): If ``True``, the signs are scaled per output, as in
            XNOR-Net.

    Attributes:
        W (~chainer.Parameter): Latent weights, (out_size, in_size).
        b (~chainer.Parameter or None): Bias, (out_size,), not binarized.
        w_bits (int): Bits of a weight as the layer computes with it.

    Raises:
        ValueError: If a size is not positive, or the weights were to be
            scaled and drawn.
    """

    w_bits = 1

    def __init__(self, in_size, out_size, nobias=False, initialW=None,
                 initial_bias=None, stochastic=False, scaled=False):
        super().__init__()
        if out_size < 1 or (in_size is not None and in_size < 1):
            raise ValueError(
                'sizes must be positive: in_size=%s, out_size=%s'
                % (in_size, out_size))
        if scaled and stochastic:
            raise ValueError('scaled weights cannot be stochastic')
        self.in_size = in_size
        self.out_size = out_size
        self.stochastic = stochastic
        self.scaled = scaled
        with self.init_scope():
            self.W = variable.Parameter(
                initializers._get_initializer(initialW))
            if nobias:
                self.b = None
            else:
                self.b = variable.Parameter(
                    0 if initial_bias is None else initial_bias, out_size)
        if in_size is not None:
            self._initialize(in_size)

    def _initialize(self, in_size):
        self.in_size = in_size
        self.W.initialize((self.out_size, in_size))

    def initialize_for(self, x):
        """Makes the weights of a lazy layer, for an input like ``x``."""
        if self.W.array is None:
            self._initialize(math.prod(x.shape[1:]))

    @property
    def printable_specs(self):
        yield 'in_size', self.in_size
        yield 'out_size', self.out_size
        yield 'nobias', self.b is None
        yield 'stochastic', self.stochastic
        yield 'scaled', self.scaled

    def forward(self, x):
        """Applies the layer.

        Args:
            x (~chainer.Variable or array): (batch, ...), flattened from
                axis 1.

        Returns:
            ~chainer.Variable: (batch, out_size).
        """
        self.initialize_for(x)
        return function_binary_linear.binary_linear(
            x, self.W, self.b, self.stochastic, self.scaled)

    def describe(self):
        """Describes the layer, see :func:`zoo.description.of`."""
        return [operations.Linear(
            W=description.weights(self.W, self.w_bits, self.scaled),
            b=description.array(self.b))]
