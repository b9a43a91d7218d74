"""Sign with a threshold that is learned for each channel."""
import chainer
from chainer import link
from chainer import variable

from zoo.reactnet import function_shifted_sign


class ShiftedBST(link.Link):
    """Binary activation with a learnable shift, RSign.

    See :func:`~zoo.reactnet.function_shifted_sign.shifted_sign` (`ReActNet
    <https://arxiv.org/abs/2003.03488>`_, Eq. (4)).

    Args:
        n_channels (int): Size of axis 1 of the input.
        surrogate (str): Gradient of the sign, see
            :func:`zoo.surrogates.sign.sign`.

    Attributes:
        alpha (~chainer.Parameter): Thresholds, (n_channels,), 0 at first.
    """

    def __init__(self, n_channels: int, surrogate: str = 'ste'):
        super().__init__()
        self.surrogate = surrogate
        with self.init_scope():
            self.alpha = variable.Parameter(0, n_channels)

    @property
    def printable_specs(self):
        yield 'n_channels', self.alpha.size
        yield 'surrogate', self.surrogate

    def forward(self, x) -> chainer.Variable:
        """Applies the activation.

        Args:
            x (~chainer.Variable or array): (batch, n_channels, ...).

        Returns:
            ~chainer.Variable: +1 and -1, of the shape of ``x``.
        """
        return function_shifted_sign.shifted_sign(
            x, self.alpha, self.surrogate)
