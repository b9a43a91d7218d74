"""Optimizer hook that keeps latent weights in their range."""
import chainer

from bnn import kernels


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

    def __init__(self, low=-1.0, high=1.0):
        if not low < high:
            raise ValueError(
                'low must be less than high: %s, %s' % (low, high))
        self.low = low
        self.high = high

    def __call__(self, rule, param):
        if getattr(rule, 'clipped', None) == (self.low, self.high):
            rule.clipped = None  # by the update itself, see adam.py
            return
        # With use_fp32_update the optimizer goes on from its own float32
        # copy, so that one has to stay in the range as well.
        for p in (param, getattr(rule, '_fp32_param', None)):
            if p is not None and p.array is not None:
                with chainer.using_device(p.device):
                    kernels.clip(p.array, self.low, self.high)


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
    :class:`~bop.Bop` has no latent weights.

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
