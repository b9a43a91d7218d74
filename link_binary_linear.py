"""Fully connected layer with binary weights."""
import math
from typing import Any

import chainer
from chainer import initializers
from chainer import link
from chainer import variable

import function_binary_linear


class BinaryLinear(link.Link):
    r"""Linear layer that computes with the signs of its weights.

    :math:`y = x \, \mathrm{sign}(W)^T + b`, see
    :func:`~function_binary_linear.binary_linear`.  ``W`` holds the latent
    weights that the optimizer updates.  Nothing in the layer bounds them:
    add a :class:`~weight_clip.WeightClip` to the optimizer.

    Args:
        in_size: Number of inputs.  With ``None`` it is taken from the first
            input.
        out_size: Number of outputs.
        nobias: If ``True``, there is no bias.
        initialW (initializer, array or float): Initial latent weights;
            :class:`~chainer.initializers.LeCunNormal`, N(0, 1/in_size), by
            default.
        initial_bias (initializer): Initial bias, 0 by default.

    Attributes:
        W (~chainer.Parameter): Latent weights, (out_size, in_size).
        b (~chainer.Parameter or None): Bias, (out_size,), not binarized.
        w_bits (int): Bits of a weight as the layer computes with it.

    Raises:
        ValueError: If a size is not positive.
    """

    w_bits = 1

    def __init__(self, in_size: int | None, out_size: int,
                 nobias: bool = False, initialW: Any = None,
                 initial_bias: Any = None) -> None:
        super().__init__()
        if out_size < 1 or (in_size is not None and in_size < 1):
            raise ValueError(f'sizes must be positive: in_size={in_size}, '
                             f'out_size={out_size}')
        self.in_size = in_size
        self.out_size = out_size
        with self.init_scope():
            self.W = variable.Parameter(
                initializers.LeCunNormal() if initialW is None else
                initialW if callable(initialW) else
                initializers.Constant(initialW))
            self.b = None if nobias else variable.Parameter(
                0 if initial_bias is None else initial_bias, out_size)
        if in_size is not None:
            self._initialize(in_size)

    def _initialize(self, in_size):
        self.in_size = in_size
        self.W.initialize((self.out_size, in_size))

    @property
    def printable_specs(self):
        yield 'in_size', self.in_size
        yield 'out_size', self.out_size
        yield 'nobias', self.b is None

    def forward(self, x: Any) -> chainer.Variable:
        """Applies the layer.

        Args:
            x (~chainer.Variable or array): (batch, ...), flattened from
                axis 1.

        Returns:
            (batch, out_size).
        """
        if self.W.array is None:
            self._initialize(math.prod(x.shape[1:]))
        return function_binary_linear.binary_linear(x, self.W, self.b)
