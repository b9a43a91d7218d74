"""Chainer's SGD with momentum, on the CPU in one pass."""
import chainer
import numpy
from chainer.optimizers import momentum_sgd

from bnn.kernels import optimizers


class MomentumSGDRule(momentum_sgd.MomentumSGDRule):

    """Chainer's update rule, whose update on the CPU is one pass.

    The bits are Chainer's.  Parameters that are not float32 or 64 are updated
    by Chainer.
    """

    def update_core_cpu(self, param: chainer.Parameter) -> None:
        if (param.grad is None
                or param.dtype not in (numpy.float32, numpy.float64)
                or not param.array.flags.c_contiguous):
            super().update_core_cpu(param)
            return
        optimizers.momentum_sgd(
            param.array, param.grad, self.state['v'], self.hyperparam.lr,
            self.hyperparam.momentum)


class MomentumSGD(chainer.optimizers.MomentumSGD):

    """Chainer's MomentumSGD, faster on the CPU.

    Arguments and result are those of
    :class:`chainer.optimizers.MomentumSGD`, bit for bit.  On a GPU it is
    Chainer's.
    """

    def create_update_rule(self) -> MomentumSGDRule:
        return MomentumSGDRule(self.hyperparam)
