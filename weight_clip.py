"""Optimizer hook that keeps latent weights in their range."""

import chainer
import numpy

from bnn import kernels
from bnn.chainer_ops import fused_update


class WeightClip(object):

    """Clips parameters to [``low``, ``high``] after each update.

    A latent weight outside [-1, 1] would have to travel back before its sign
    can change again, so BinaryNet clips it
    (`1602.02830 <https://arxiv.org/abs/1602.02830>`_, Algorithm 1).  It works
    on the optimizer, for all parameters, or on single parameters:

    >>> optimizer.add_hook(WeightClip())
    >>> model.l1.W.update_rule.add_hook(WeightClip())

    Parameters that are not initialized yet are left alone, NaN stays NaN.

    Args:
        low (float): Least value.
        high (float): Largest value.

    Raises:
        ValueError: If ``low`` is not less than ``high``.
    """

    name = 'WeightClip'
    call_for_each_param = True
    # Chainer calls a hook without timing before the update, which then
    # leaves weights outside the range.
    timing = 'post'
    bounds_weights = True
    is_replayable = True

    def __init__(self, low=-1.0, high=1.0):
        if not low < high:
            raise ValueError(
                'low must be less than high: %s, %s' % (low, high))
        self.low = low
        self.high = high

    def __call__(self, rule, param):
        if getattr(rule, 'clipped', None) == (self.low, self.high):
            rule.clipped = None  # by the update itself, a ClippingRule
            return
        # With use_fp32_update the optimizer goes on from its own float32
        # copy, so that one has to stay in the range as well.
        for p in (param, getattr(rule, '_fp32_param', None)):
            if p is not None and p.array is not None:
                with chainer.using_device(p.device):
                    kernels.clip(p.array, self.low, self.high)


class ClippingRule(fused_update.FusedRule):

    """Update rule that does the work of a WeightClip in its own pass.

    Of :class:`ClippingOptimizer`; mixed into one of Chainer's.  On a GPU the
    updates of all parameters are one launch.
    """

    # The range to clip to, and the one that the last update clipped to
    clip = None
    clipped = None

    def has_kernel(self, param):
        """Tells whether there is a kernel for a parameter on the CPU."""
        return (param.grad is not None and param.array.flags.c_contiguous
                and param.dtype in (numpy.float32, numpy.float64))

    def take_range(self):
        """Returns the range for the kernel, which now has to clip to it."""
        self.clipped = self.clip
        return self.range_or_all()

    def hooks_may_wait(self):
        """Tells whether no hook of the parameter has to see the update."""
        hooks = post_hooks(self)
        return not hooks or len(hooks) == 1 and self.clip is not None


class ClippingOptimizer(object):

    """Optimizer whose update clips, where that is what follows it.

    Where a parameter's first hook after the update is a :class:`WeightClip`,
    of the parameter or of the optimizer, its rule is told.  Mixed into one of
    Chainer's, with rules that are a :class:`ClippingRule`.
    """

    fused = None

    def setup(self, link):
        super().setup(link)
        self.fused = fused_update.FusedUpdates()
        for param in link.params():
            param.update_rule.fused = self.fused
        return self

    def update(self, lossfun=None, *args, **kwds):
        everyones = post_hooks(self)
        for param in self.target.params():
            if isinstance(param.update_rule, ClippingRule):
                hooks = post_hooks(param.update_rule) + everyones
                param.update_rule.clip = (
                    (hooks[0].low, hooks[0].high)
                    if hooks and type(hooks[0]) is WeightClip else None)
        self.fused.open()
        try:
            super().update(lossfun, *args, **kwds)
        finally:
            self.fused.close()

    def call_hooks(self, timing='pre'):
        if timing == 'post':  # All parameters have had their turn.
            self.fused.flush()
        super().call_hooks(timing)


def clip_weights(model):
    """Adds a :class:`WeightClip` to the latent weights that need one.

    Binary weights and those of the linear quantizer; DoReFa's tanh bounds its
    own.

    Args:
        model (~chainer.Link): A model that an optimizer was set up with.
    """
    for param in _latent_weights(model):
        param.update_rule.add_hook(WeightClip())


def unbounded_weights(optimizer):
    """Lists the latent weights that nothing bounds.

    Their signs, or levels, freeze as the weights grow.
    :class:`~zoo.latent_weights.bop.Bop` has no latent weights.

    Args:
        optimizer (~chainer.GradientMethod): An optimizer set up with a model.

    Returns:
        list of str: Names of parameters.
    """
    if _clips(optimizer):
        return []
    latent = {id(param) for param in _latent_weights(optimizer.target)}
    return [name for name, param in optimizer.target.namedparams()
            if id(param) in latent and not _clips(param.update_rule)
            and getattr(param.update_rule, 'has_latent_weights', True)]


def _latent_weights(model):
    quantized = [link for link in model.links()
                 if getattr(link, 'w_bits', 32) < 32]
    return [link.W for link in quantized
            if link.w_bits == 1 or link.quantizer == 'linear']


def post_hooks(hookable):
    """Returns the hooks that an optimizer or update rule calls afterwards.

    Args:
        hookable (~chainer.Optimizer or ~chainer.UpdateRule): Whose hooks.

    Returns:
        list: The hooks, in their order.
    """
    # Chainer has no public way to ask for them.
    return list(hookable._hookable._post_update_hooks.values())


def _clips(hookable):
    return any(getattr(hook, 'bounds_weights', False)
               for hook in post_hooks(hookable))
