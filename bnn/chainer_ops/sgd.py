"""SGD in one launch on a GPU, with the weight clip in it."""
import chainer
from chainer.optimizers import sgd

import weight_clip


class SGDRule(weight_clip.ClippingRule, sgd.SGDRule):

    """Chainer's update rule of SGD; on a GPU part of the update of all."""

    kernel = 'sgd'

    def rates(self):
        return (self.hyperparam.lr, 0., 0., 0., 0., 0.,
                *self.range_or_all())


class SGD(weight_clip.ClippingOptimizer, chainer.optimizers.SGD):

    """Chainer's SGD, faster on a GPU.

    Arguments and result are those of :class:`chainer.optimizers.SGD`; on a
    GPU a :class:`~weight_clip.WeightClip` costs no pass of its own.
    """

    def create_update_rule(self):
        return SGDRule(self.hyperparam)
