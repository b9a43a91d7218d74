"""Adam in one pass over the parameters."""
import chainer
import numpy
from chainer.optimizers import adam

from bnn import kernels


class AdamRule(adam.AdamRule):
    """Chainer's update rule of Adam, on the CPU in one pass.

    The same bits as Chainer's; what it has no kernel for goes the old way.
    """

    def update_core_cpu(self, param):
        hp = self.hyperparam
        if (param.grad is None or not param.array.flags.c_contiguous
                or param.dtype not in (numpy.float32, numpy.float64)
                or hp.amsgrad or hp.adabound):
            return super().update_core_cpu(param)
        self._check_eps(param.dtype.type)
        kernels.adam(
            param.array, param.grad, self.state['m'], self.state['v'],
            self.alpha_t, hp.beta1, hp.beta2, hp.eps,
            1 - hp.eta * hp.weight_decay_rate, hp.eta)


class Adam(chainer.optimizers.Adam):
    """Chainer's Adam, faster; the same arguments, and the same bits."""

    def create_update_rule(self):
        return AdamRule(self.hyperparam)
