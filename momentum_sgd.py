"""SGD with momentum in one pass, with the weight clip in it."""
import chainer
from chainer.optimizers import momentum_sgd

import weight_clip
from bnn import kernels


class MomentumSGDRule(
        weight_clip.ClippingRule, momentum_sgd.MomentumSGDRule):

    """Chainer's update rule of MomentumSGD, on the CPU in one pass.

    The same bits as Chainer's; what it has no kernel for goes the old way.
    """

    def update_core_cpu(self, param):
        if not self.has_kernel(param):
            return super().update_core_cpu(param)
        kernels.momentum_sgd(
            param.array, param.grad, self.state['v'], self.hyperparam.lr,
            self.hyperparam.momentum, *self.take_range())


class MomentumSGD(
        weight_clip.ClippingOptimizer, chainer.optimizers.MomentumSGD):

    """Chainer's MomentumSGD, faster on the CPU.

    Arguments and result are those of
    :class:`chainer.optimizers.MomentumSGD`, bit for bit; a
    :class:`~weight_clip.WeightClip` costs no pass of its own.
    """

    def create_update_rule(self):
        return MomentumSGDRule(self.hyperparam)
