"""SGD with momentum in one pass, with the weight clip in it."""
import chainer
from chainer.optimizers import momentum_sgd

import weight_clip
from bnn import kernels


class MomentumSGDRule(
        weight_clip.ClippingRule, momentum_sgd.MomentumSGDRule):

    """Chainer's update rule of MomentumSGD, on the CPU in one pass.

    The same bits as Chainer's; what it has no kernel for goes the old way.
    On a GPU it is part of the update of all parameters.
    """

    kernel = 'momentum_sgd'

    def rates(self):
        hp = self.hyperparam
        return (hp.lr, hp.momentum, 0., 0., 0., 0., *self.range_or_all())

    def update_core_cpu(self, param):
        if not self.has_kernel(param):
            return super().update_core_cpu(param)
        kernels.momentum_sgd(
            param.array, param.grad, self.state['v'], self.hyperparam.lr,
            self.hyperparam.momentum, *self.take_range())


class MomentumSGD(
        weight_clip.ClippingOptimizer, chainer.optimizers.MomentumSGD):

    """Chainer's MomentumSGD, faster.

    Arguments and result are those of
    :class:`chainer.optimizers.MomentumSGD`, on the CPU bit for bit; a
    :class:`~weight_clip.WeightClip` costs no pass of its own.
    """

    def create_update_rule(self):
        return MomentumSGDRule(self.hyperparam)
