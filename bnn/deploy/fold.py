"""From what follows a layer to thresholds on its sum.

Scale, bias, batch normalization, ReLU and max-pool are monotone functions of
one sum, channel by channel; so are all of them in a row.  Their sign
therefore changes at one sum, which bisection finds, with float64 for every
operation.  No case is special: a negative gamma, gamma 0, whatever comes
between.
"""
import dataclasses
import math

import numpy

from bnn.deploy import operations
from bnn.deploy import reference
from bnn.deploy import stages

# More levels than these are not told apart by thresholds: they would take
# more room than the weights.
MAX_THRESHOLDS = 16
# What makes bits or levels
ENDS = operations.Sign, operations.Quantize


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """What follows the sums of a layer.

    Attributes:
        factor, offset (numpy.ndarray): float64 (filters,): the layer's
            result is ``s factor + offset``.
        operations (list): The operations on that result.
    """

    factor: numpy.ndarray
    offset: numpy.ndarray
    operations: list

    def __call__(self, s, last=None):
        """Computes the result, without the operations from ``last`` on.

        Args:
            s (numpy.ndarray): float64 (n, filters).
            last (int): Number of an operation.

        Returns:
            numpy.ndarray: float64 (n, filters).
        """
        with numpy.errstate(over='ignore', invalid='ignore'):
            x = s * self.factor + self.offset
            for operation in self.operations[:last]:
                if not isinstance(operation, (
                        operations.MaxPooling2D, operations.Flatten)):
                    x = reference.apply(operation, x, numpy.float64)
        return x

    def rises(self, bound, last=None):
        """Tells for each filter whether the result grows with the sum.

        Where it is the same for all sums, either answer does: a threshold
        that all of them reach, or none, stays that when they are turned.

        Args:
            bound (numpy.ndarray): (filters,), what the sums do not exceed.
            last (int): See :meth:`__call__`.
        """
        ends = self(numpy.stack([-bound, bound]).astype(numpy.float64), last)
        return ends[1] >= ends[0]

    def ends(self):
        """Returns the results of the sums 0 and 1, float64 (2, filters)."""
        return self(numpy.array([[0.], [1.]]))


def count(operation, following, shape, kind):
    """Counts the operations that can be folded into a layer.

    Args:
        operation (~bnn.deploy.operations.Operation): The layer.
        following (list of ~bnn.deploy.operations.Operation): What comes
            behind it.
        shape (tuple of int): Of the layer's result.
        kind (str): Of the layer's operand.

    Returns:
        int: How many operations make bits or levels of the sums, or 0.
    """
    n_pools = 0
    for i, one in enumerate(following):
        if isinstance(one, operations.Sign):
            return i + 1
        if isinstance(one, operations.Quantize):
            n = round((one.high - one.low) * one.n)
            is_possible = not n_pools and kind != 'float' and (
                operation.W.bits < 32) and (
                    n <= MAX_THRESHOLDS or _is_affine(following[:i], one))
            return i + 1 if is_possible else 0
        if not _is_monotone(one):
            return 0
        if isinstance(one, operations.Flatten) and len(shape) > 1 and not any(
                isinstance(after, ENDS) for after in following[i + 1:i + 2]):
            # What follows has a channel for each pixel, as a rule.
            return 0
        n_pools += isinstance(one, operations.MaxPooling2D)
    return 0


def _is_monotone(operation):
    if isinstance(operation, operations.RPReLU):
        return bool((operation.beta >= 0).all())
    return isinstance(operation, (
        operations.BatchNormalization, operations.Bias, operations.ReLU,
        operations.Clip, operations.MaxPooling2D, operations.Flatten))


def _is_affine(chain, quantize):
    """Tells whether a chain is ``s factor + offset`` before its clip."""
    return all(isinstance(one, (
        operations.Bias, operations.BatchNormalization)) or (
            isinstance(one, operations.ReLU) and quantize.low == 0
            and i == len(chain) - 1) for i, one in enumerate(chain))


def threshold(chain, bound, level):
    """Finds where a rising chain reaches a level, in whole numbers.

    Args:
        chain (callable): Of sums, (1, filters), rising.
        bound (numpy.ndarray): int64 (filters,): what the sums do not exceed.
        level (float): What is to be reached.

    Returns:
        numpy.ndarray: int32 (filters,): the least sum that reaches it;
        ALWAYS or NEVER where all or none of them do.
    """
    return _bisect(chain, -bound, bound, level)


def float_threshold(chain, n):
    """Finds the least float32 where a rising chain reaches 0.

    Args:
        chain (callable): Of sums, (1, filters), rising.
        n (int): Filters.

    Returns:
        numpy.ndarray: float32 (filters,): -inf where all sums reach it, NaN
        where none does.
    """
    def to_float(order):  # floats in order, as whole numbers
        bits = numpy.where(order < 0, -(order + 1) | 1 << 31, order)
        return bits.astype(numpy.uint32).view(numpy.float32)

    largest = numpy.full(n, 0x7f7fffff)
    found = _bisect(
        lambda order: chain(to_float(order.astype(numpy.int64)).astype(
            numpy.float64)), -largest - 1, largest, 0.)
    return numpy.select(
        [found == stages.NEVER, found == stages.ALWAYS],
        [numpy.float32('nan'), numpy.float32('-inf')],
        to_float(found.astype(numpy.int64)))


def _bisect(chain, low, high, level):
    # ``below`` does not reach the level, ``above`` does.
    below, above = low - 1, high + 1
    while (above - below > 1).any():
        middle = (below + above) // 2
        reached = chain(middle[None].astype(numpy.float64))[0] >= level
        is_open = above - below > 1
        above = numpy.where(reached & is_open, middle, above)
        below = numpy.where(~reached & is_open, middle, below)
    found = numpy.where(above > high, stages.NEVER, above)
    return numpy.where(above == low, stages.ALWAYS, found).astype(
        numpy.int32)


def multiplier(chain, bound):
    """Returns what makes levels of the sums of an affine chain.

    Args:
        chain (Chain): Biases and batch normalizations, perhaps a ReLU, and a
            Quantize.
        bound (numpy.ndarray): int64 (filters,): what the sums do not exceed.

    Returns:
        dict: The fields ``multiplier``, ``addend`` and ``shift`` of a
        :class:`~bnn.deploy.stages.Product`.
    """
    affine = Chain(chain.factor, chain.offset, [
        one for one in chain.operations[:-1]
        if not isinstance(one, operations.ReLU)])
    at_0, at_1 = affine.ends() * chain.operations[-1].n
    # 31 bits for the largest, and 62 for all of them together
    largest = max(abs(at_1 - at_0).max(), 1e-30)
    total = max((abs(at_1 - at_0) * bound + abs(at_0) + 1).max(), 1.)
    shift = int(numpy.clip(min(30 - math.ceil(math.log2(largest)),
                               61 - math.ceil(math.log2(total))), 0, 40))
    return {
        'multiplier': numpy.rint((at_1 - at_0) * 2. ** shift).astype(
            numpy.int64), 'shift': shift,
        'addend': numpy.rint((at_0 + .5) * 2. ** shift).astype(numpy.int64)}
