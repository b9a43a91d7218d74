"""Copies of what an iteration changes, to go back to."""
import contextlib

import numpy
from chainer.serializers import npz


def take(target):
    """Copies what a link or an optimizer serializes, to the host.

    Args:
        target (~chainer.Link or ~chainer.Optimizer): What to copy.

    Returns:
        dict: Names to arrays, for :func:`restore`.
    """
    return {name: numpy.array(value)
            for name, value in npz.serialize(target).items()}


def restore(target, arrays):
    """Puts a copy back, into the very arrays.

    Args:
        target (~chainer.Link or ~chainer.Optimizer): What was copied.
        arrays (dict): What :func:`take` returned.
    """
    # What there was not then is left as it is: moments that are None.
    npz.NpzDeserializer(arrays, strict=False).load(target)


@contextlib.contextmanager
def counts_kept(optimizer):
    """Puts the counts of updates back where an iteration fails.

    Args:
        optimizer (~chainer.GradientMethod): Set up with the model.
    """
    t, rules = optimizer.t, rules_of(optimizer)
    counts = [rule.t for rule in rules]
    try:
        yield
    except BaseException:
        optimizer.t = t
        for rule, count in zip(rules, counts, strict=True):
            rule.t = count
        raise


@contextlib.contextmanager
def undone(optimizer, arrays):
    """Puts back all that an iteration changes, where it fails.

    Parameters, statistics, moments and counts, other arrays, and the state
    of NumPy's generator: the same batch can be computed again.

    Args:
        optimizer (~chainer.GradientMethod): Set up with the model.
        arrays (list of arrays): What else it changes.
    """
    model = optimizer.target
    without_state = [
        rule for rule in rules_of(optimizer) if rule.state is None]
    copy, copy_of_optimizer = take(model), take(optimizer)
    copies = [array.copy() for array in arrays]
    random = numpy.random.get_state()
    try:
        yield
    except BaseException:
        for rule in without_state:
            rule._state = None  # made anew by the next update
        restore(model, copy)
        restore(optimizer, copy_of_optimizer)
        for array, before in zip(arrays, copies, strict=True):
            array[...] = before
        numpy.random.set_state(random)
        raise


def rules_of(optimizer):
    """Returns the update rules of an optimizer's parameters."""
    return [param.update_rule for param in optimizer.target.params()]
