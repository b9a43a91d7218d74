"""Chainer's Adam, on the CPU in one pass over the parameters."""
import chainer
import numpy
from chainer.optimizers import adam

from bnn.kernels import optimizers


class AdamRule(adam.AdamRule):
    """Chainer's update rule, whose update on the CPU is one pass.

    The bits are Chainer's.  Parameters that are not float32 or 64, AMSGrad
    and AdaBound are updated by Chainer.
    """

    def update_core_cpu(self, param: chainer.Parameter) -> None:
        hp = self.hyperparam
        scalar = param.dtype.type
        if (param.grad is None or hp.amsgrad or hp.adabound
                or param.dtype not in (numpy.float32, numpy.float64)
                or not param.array.flags.c_contiguous
                or scalar(hp.eps) == 0):  # Chainer has an error for it.
            super().update_core_cpu(param)
            return
        optimizers.adam(
            param.array, param.grad, self.state['m'], self.state['v'],
            self.alpha_t, hp.beta1, hp.beta2, hp.eps,
            1 - hp.eta * hp.weight_decay_rate, hp.eta)


class Adam(chainer.optimizers.Adam):
    """Chainer's Adam, faster on the CPU.

    Arguments and result are those of :class:`chainer.optimizers.Adam`, bit
    for bit.  On a GPU it is Chainer's.
    """

    def create_update_rule(self) -> AdamRule:
        return AdamRule(self.hyperparam)
