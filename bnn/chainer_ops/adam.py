"""Adam in one pass over the parameters, with the weight clip in it."""
import chainer
from chainer.optimizers import adam

import weight_clip
from bnn import kernels


class AdamRule(weight_clip.ClippingRule, adam.AdamRule):

    """Chainer's update rule of Adam, on the CPU in one pass.

    The same bits as Chainer's; what it has no kernel for goes the old way.
    On a GPU it is part of the update of all parameters.
    """

    kernel = 'adam'

    def has_launch(self, param):
        hp = self.hyperparam
        if hp.amsgrad or hp.adabound or not super().has_launch(param):
            return False
        self._check_eps(param.dtype.type)
        return True

    def rates(self):
        hp = self.hyperparam
        return (hp.alpha, hp.beta1, hp.beta2, hp.eps, hp.eta,
                1 - hp.eta * hp.weight_decay_rate, *self.range_or_all())

    def update_core_cpu(self, param):
        hp = self.hyperparam
        if not self.has_kernel(param) or hp.amsgrad or hp.adabound:
            return super().update_core_cpu(param)
        self._check_eps(param.dtype.type)
        kernels.adam(
            param.array, param.grad, self.state['m'], self.state['v'],
            self.alpha_t, hp.beta1, hp.beta2, hp.eps,
            1 - hp.eta * hp.weight_decay_rate, hp.eta, *self.take_range())


class Adam(weight_clip.ClippingOptimizer, chainer.optimizers.Adam):

    """Chainer's Adam, faster.

    Arguments and result are those of :class:`chainer.optimizers.Adam`, on
    the CPU bit for bit; a :class:`~weight_clip.WeightClip` costs no pass of
    its own.
    """

    def create_update_rule(self):
        return AdamRule(self.hyperparam)
