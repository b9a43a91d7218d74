"""Adam in one pass over the parameters, with the weight clip in it."""
import math

import chainer
import numpy
from chainer.optimizers import adam

import weight_clip
from bnn import kernels


class AdamRule(adam.AdamRule):

    """Chainer's update rule of Adam, on the CPU in one pass.

    The same bits as Chainer's; what it has no kernel for goes the old way.
    """

    # The range of a WeightClip that this update does the work of, and that
    # it has done
    clip = None
    clipped = None

    def update_core_cpu(self, param):
        hp = self.hyperparam
        array, grad = param.array, param.grad
        if (grad is None or hp.amsgrad or hp.adabound
                or array.dtype not in (numpy.float32, numpy.float64)
                or not array.flags.c_contiguous):
            return super().update_core_cpu(param)
        self._check_eps(array.dtype.type)
        low, high = self.clip or (-math.inf, math.inf)
        kernels.adam(
            array, grad, self.state['m'], self.state['v'], self.alpha_t,
            hp.beta1, hp.beta2, hp.eps, 1 - hp.eta * hp.weight_decay_rate,
            hp.eta, low, high)
        self.clipped = self.clip


class Adam(chainer.optimizers.Adam):

    """Chainer's Adam, faster on the CPU.

    Arguments and result are those of :class:`chainer.optimizers.Adam`, bit
    for bit.  Where a parameter's first hook after the update is a
    :class:`~weight_clip.WeightClip`, of the parameter or of the optimizer,
    the update clips in the same pass.
    """

    def create_update_rule(self):
        return AdamRule(self.hyperparam)

    def update(self, lossfun=None, *args, **kwds):
        everyones = weight_clip.post_hooks(self)
        for param in self.target.params():
            if isinstance(param.update_rule, AdamRule):
                hooks = weight_clip.post_hooks(param.update_rule) + everyones
                param.update_rule.clip = (
                    (hooks[0].low, hooks[0].high) if hooks
                    and type(hooks[0]) is weight_clip.WeightClip else None)
        super().update(lossfun, *args, **kwds)
