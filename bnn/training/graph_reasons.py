"""Why an iteration cannot be replayed as a CUDA graph."""
import chainer
from chainer import optimizer_hooks

# What they do depends on nothing that changes on the host.
_HOOKS = (optimizer_hooks.WeightDecay, optimizer_hooks.Lasso,
          optimizer_hooks.GradientHardClipping)


def of(optimizer):
    """Returns what stands against replaying an optimizer's iterations.

    A rule or hook says ``is_replayable = True`` of itself if the same
    launches are right in each iteration.

    Args:
        optimizer (~chainer.GradientMethod): Set up with the model.

    Returns:
        str or None: The reason, if there is one.
    """
    if chainer.is_debug():
        return "Chainer's debug mode looks at the numbers"
    if chainer.get_function_hooks():
        return 'there is a function hook'
    if optimizer._loss_scale is not None:
        return 'the loss is scaled'
    found = [*hooks(optimizer)]
    for name, param in sorted(optimizer.target.namedparams()):
        rule = param.update_rule
        if rule is None:
            return '%s has no update rule' % name
        if not getattr(rule, 'is_replayable', False) and rule.enabled:
            return '%s of %s is not known to be the same each time' % (
                type(rule).__name__, name)
        found += hooks(rule)
    for hook in found:
        if not (getattr(hook, 'is_replayable', False)
                or type(hook) in _HOOKS):
            return ('the hook %s is not known to be the same each time'
                    % getattr(hook, 'name', type(hook).__name__))
    return None


def hooks(hookable):
    """Returns the hooks of an optimizer or update rule.

    Args:
        hookable (~chainer.Optimizer or ~chainer.UpdateRule): Whose hooks.

    Returns:
        list: Those before an update, and those after it.
    """
    # Chainer has no public way to ask for them.
    ours = hookable._hookable
    return [*ours._pre_update_hooks.values(),
            *ours._post_update_hooks.values()]
