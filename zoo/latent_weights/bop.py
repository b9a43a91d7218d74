"""Bop, the optimizer that does without latent weights."""
import chainer
from chainer import optimizer

from bnn.chainer_ops import adam
from bnn.kernels import elementwise


class BopRule(optimizer.UpdateRule):
    """Update rule of Bop for one binary weight; see :class:`Bop`."""

    has_latent_weights = False

    def __init__(self, adaptivity: float, threshold: float):
        super().__init__()
        self.hyperparam.adaptivity = adaptivity
        self.hyperparam.threshold = threshold

    def init_state(self, param):
        with chainer.using_device(param.device):
            self.state['m'] = param.device.xp.zeros_like(param.array)
            # From now on the parameter is the binary weight itself.
            param.array[...] = elementwise.binarize(param.array)

    def update_core(self, param):
        grad = param.grad
        if grad is None:
            return
        m = self.state['m']
        m += self.hyperparam.adaptivity * (grad - m)
        xp = param.device.xp
        # The weight is +1 or -1, so the product is |m| where both have one
        # sign and -|m| elsewhere.
        flip = m * param.array > self.hyperparam.threshold
        param.array[...] = xp.where(flip, -param.array, param.array)


class Bop(adam.Adam):
    r"""Bop for binary weights, Adam for all other parameters.

    .. math::

        m_t = (1 - \gamma) m_{t-1} + \gamma g_t, \qquad
        w_t = \begin{cases}
        -w_{t-1} & |m_t| > \tau \text{ and }
        \mathrm{sign}(m_t) = \mathrm{sign}(w_{t-1}) \\
        w_{t-1} & \text{otherwise} \end{cases}

    (`Latent Weights Do Not Exist <https://arxiv.org/abs/1906.02107>`_,
    Algorithm 1).  From the first update on, the weights of layers of one bit
    (``w_bits == 1``) hold +1 and -1.  They need no clip.

    Args:
        alpha (float): Step size of Adam.
        adaptivity (float): :math:`\gamma`, how fast the average follows.
        threshold (float): :math:`\tau`, how large it must be for a flip.
    """

    def __init__(self, alpha: float = 0.001, adaptivity: float = 1e-4,
                 threshold: float = 1e-8):
        super().__init__(alpha=alpha)
        self.adaptivity = adaptivity
        self.threshold = threshold

    def setup(self, link):
        super().setup(link)
        for child in link.links():
            if getattr(child, 'w_bits', 32) == 1:
                child.W.update_rule = BopRule(
                    self.adaptivity, self.threshold)
        return self
