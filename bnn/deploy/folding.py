"""From what follows a layer to thresholds on its sum.

Scale, bias, batch normalization, ReLU and max-pool are monotone functions of
one sum, channel by channel; so is all of them in a row.  Its sign therefore
changes at one sum, which bisection finds, with float64 for every operation.
No formula is needed, and no case is special: gamma negative, gamma 0,
whatever comes between.
"""
import dataclasses
import math

import numpy

from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import reference


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """What follows the sums of a layer.

    Attributes:
        factor, offset (numpy.ndarray): float64 (filters,): the layer's
            result is ``s factor + offset``.
        operations (list): What comes then.

    """

    factor: numpy.ndarray
    offset: numpy.ndarray
    operations: list

    def __call__(self, s, last=None):
        """Computes it, up to the operation of the number ``last``.

        Args:
            s (numpy.ndarray): float64 (n, filters).
            last (int): The first operation that is left out.

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

    def rises(self, low, high, last=None):
        """Tells for each filter whether it grows with the sum."""
        ends = self(numpy.stack([low, high]).astype(numpy.float64), last)
        return ends[1] >= ends[0]


def is_monotone(operation):
    """Tells whether an operation keeps or turns the order of its operands."""
    if isinstance(operation, operations.RPReLU):
        return bool((operation.beta >= 0).all())
    return isinstance(operation, (
        operations.BatchNormalization, operations.Bias, operations.ReLU,
        operations.Clip, operations.MaxPooling2D, operations.Flatten))


def threshold(chain, low, high, level):
    """Finds where a rising chain reaches a level, in whole numbers.

    Args:
        chain (callable): Of sums, (1, filters), rising.
        low, high (numpy.ndarray): int64 (filters,): bounds of the sums.
        level (float): What is to be reached.

    Returns:
        numpy.ndarray: int32 (filters,): the least sum that reaches it;
        ALWAYS or NEVER where all or none of them do.

    """
    # Of what is in [below, above]: below does not reach it, above does.
    below, above = low - 1, high + 1
    while (above - below > 1).any():
        middle = (below + above) // 2
        reached = chain(middle[None].astype(numpy.float64))[0] >= level
        is_open = above - below > 1
        above = numpy.where(reached & is_open, middle, above)
        below = numpy.where(~reached & is_open, middle, below)
    found = numpy.where(above > high, packed.NEVER, above)
    return numpy.where(above == low, packed.ALWAYS, found).astype(
        numpy.int32)


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
    found = threshold(
        lambda order: chain(to_float(order.astype(numpy.int64)).astype(
            numpy.float64)), -largest - 1, largest, 0.)
    return numpy.select(
        [found == packed.NEVER, found == packed.ALWAYS],
        [numpy.float32('nan'), numpy.float32('-inf')],
        to_float(found.astype(numpy.int64)))


def is_affine(chain, quantize):
    """Tells whether a chain is ``s factor + offset`` before its clip."""
    return all(isinstance(one, (
        operations.Bias, operations.BatchNormalization)) or (
            isinstance(one, operations.ReLU) and quantize.low == 0
            and i == len(chain) - 1) for i, one in enumerate(chain))


def multiplier(chain, bound):
    """Returns what makes levels of the sums of an affine chain.

    Args:
        chain (Chain): A chain that ends with a Quantize, see
            :func:`is_affine`.
        bound (numpy.ndarray): int64 (filters,): what the sums do not exceed.

    Returns:
        dict: The fields ``multiplier``, ``addend`` and ``shift`` of a
        :class:`~bnn.deploy.packed.Product`.

    """
    quantize = chain.operations[-1]
    affine = Chain(chain.factor, chain.offset, [
        one for one in chain.operations[:-1]
        if not isinstance(one, operations.ReLU)])
    at_0, at_1 = affine(numpy.array([[0.], [1.]])) * quantize.n
    # 31 bits for the largest, and 62 for all of them together
    largest = max(abs(at_1 - at_0).max(), 1e-30)
    total = max((abs(at_1 - at_0) * bound + abs(at_0) + 1).max(), 1.)
    shift = int(numpy.clip(min(30 - math.ceil(math.log2(largest)),
                               61 - math.ceil(math.log2(total))), 0, 40))
    return {
        'multiplier': numpy.rint((at_1 - at_0) * 2. ** shift).astype(
            numpy.int64), 'shift': shift,
        'addend': numpy.rint((at_0 + .5) * 2. ** shift).astype(numpy.int64)}
