"""How tests draw random cases with hypothesis."""
import itertools

import hypothesis
from hypothesis import strategies

from bnn.kernels import convolution_operands as operands

# The same cases in each run; kernels are compiled while a case runs.
settings = hypothesis.settings(
    deadline=None, derandomize=True, database=None, max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture,
                           hypothesis.HealthCheck.too_slow])


def pairs(low, high):
    """Draws (h, w), each of a range."""
    number = strategies.integers(low, high)
    return strategies.tuples(number, number)


@strategies.composite
def geometries(draw):
    """Draws small convolutions whose filter fits.

    Returns:
        tuple: Shape of the images; filters and their size; stride, padding,
        dilation.
    """
    size, ksize, stride, pad, dilate = itertools.starmap(
        lambda *limits: draw(pairs(*limits)),
        ((1, 19), (1, 5), (1, 3), (0, 3), (1, 2)))
    hypothesis.assume(
        min(operands.out_size(size, ksize, stride, pad, dilate)) > 0)
    n, channels, filters = (
        draw(strategies.integers(1, 23)) for _ in range(3))
    return (n, channels, *size), (filters, *ksize), stride, pad, dilate


@strategies.composite
def damages(draw):
    """Draws a function that replaces a few pieces of bytes by others."""
    number = strategies.integers(0, 1 << 20)
    edits = draw(strategies.lists(strategies.tuples(
        number, strategies.integers(0, 64), strategies.binary(max_size=64)),
        min_size=1, max_size=4))

    def damage(content):
        content = bytearray(content)
        for place, length, piece in edits:
            at = place % (len(content) + 1)
            content[at:at + length] = piece
        return bytes(content)

    return damage
