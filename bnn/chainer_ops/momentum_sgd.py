"""SGD with momentum in one pass."""
import chainer
import numpy
from chainer.optimizers import momentum_sgd

from bnn import kernels


class MomentumSGDRule(momentum_sgd.MomentumSGDRule):
    """Chainer's update rule of MomentumSGD, on the CPU in one pass.

    The same bits as Chainer's; what it has no kernel for goes the old way.
    """

    def update_core_cpu(self, param):
        if (param.grad is None or not param.array.flags.c_contiguous
                or param.dtype not in (numpy.float32, numpy.float64)):
            return super().update_core_cpu(param)
        kernels.momentum_sgd(
            param.array, param.grad, self.state['v'], self.hyperparam.lr,
            self.hyperparam.momentum)


class MomentumSGD(chainer.optimizers.MomentumSGD):
    """Chainer's MomentumSGD, faster; the same arguments and bits."""

    def create_update_rule(self):
        return MomentumSGDRule(self.hyperparam)
