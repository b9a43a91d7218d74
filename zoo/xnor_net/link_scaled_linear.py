"""Fully connected layer with the scaled binary weights of XNOR-Net."""
import math

import chainer

import link_binary_linear
from zoo.xnor_net import function_scaled_linear


class ScaledLinear(link_binary_linear.BinaryLinear):
    """Linear layer that computes with scaled signs of its weights.

    See :func:`~zoo.xnor_net.function_scaled_linear.scaled_linear`.  ``W``
    holds the latent weights; :func:`zoo.xnor_net.hooks.add_to` adds the hooks
    that bound them.

    Args:
        in_size (int or None): Number of inputs.  With ``None`` it is taken
            from the first input.
        out_size (int): Number of outputs.
        scaled (bool or str): ``True``, or ``'ste'`` for the plain
            straight-through gradient.
        nobias, initialW, initial_bias: See
            :class:`~link_binary_linear.BinaryLinear`.
    """

    def __init__(self, in_size: int | None, out_size: int,
                 scaled: bool | str = True, **kwargs):
        super().__init__(in_size, out_size, **kwargs)
        self.scaled = scaled

    @property
    def printable_specs(self):
        yield from super().printable_specs
        yield 'scaled', self.scaled

    def forward(self, x) -> chainer.Variable:
        if self.W.array is None:
            self._initialize(math.prod(x.shape[1:]))
        return function_scaled_linear.scaled_linear(
            x, self.W, self.b, self.scaled == 'ste')
