"""Sign with a threshold that is learned for each channel."""
import chainer
import chainer.functions as F
from chainer import link
from chainer import variable

from zoo.surrogates import sign


class ShiftedBST(link.Link):
    r"""Binary activation with a learnable shift, RSign.

    .. math::

        y = \mathrm{sign}(x - \alpha_c), \qquad \mathrm{sign}(0) = +1

    for each channel ``c`` (`ReActNet <https://arxiv.org/abs/2003.03488>`_,
    Eq. (4)).  The gradient of ``x`` is that of the sign operation; the
    gradient of :math:`\alpha_c` is its sum over the channel, negated.

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
        return sign.sign(F.bias(x, -self.alpha), self.surrogate)
