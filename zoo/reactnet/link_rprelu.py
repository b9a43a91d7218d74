"""Leaky ReLU whose corner and slope are learned for each channel."""
import chainer
from chainer import link
from chainer import variable

from zoo.reactnet import function_rprelu


class RPReLU(link.Link):
    """PReLU with learnable shifts of its input and its output.

    See :func:`~zoo.reactnet.function_rprelu.rprelu` (`ReActNet
    <https://arxiv.org/abs/2003.03488>`_, Eq. (5)).

    Args:
        n_channels (int): Size of axis 1 of the input.

    Attributes:
        gamma (~chainer.Parameter): Shifts of the input, (n_channels,), 0 at
            first.
        zeta (~chainer.Parameter): Shifts of the output, (n_channels,), 0 at
            first.
        beta (~chainer.Parameter): Slopes, (n_channels,), 0.25 at first.
    """

    def __init__(self, n_channels: int):
        super().__init__()
        with self.init_scope():
            self.gamma = variable.Parameter(0, n_channels)
            self.zeta = variable.Parameter(0, n_channels)
            self.beta = variable.Parameter(.25, n_channels)

    @property
    def printable_specs(self):
        yield 'n_channels', self.beta.size

    def forward(self, x) -> chainer.Variable:
        """Applies the activation.

        Args:
            x (~chainer.Variable or array): (batch, n_channels, ...).

        Returns:
            ~chainer.Variable: Of the shape of ``x``.
        """
        return function_rprelu.rprelu(x, self.gamma, self.beta, self.zeta)
