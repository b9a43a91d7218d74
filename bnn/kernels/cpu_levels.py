"""Matrices of 8-bit numbers in float32, such as pixels.

Pixels in [0, 1] are whole numbers up to 255 times a step, each rounded to
float32; what dropout lets through is too.  A whole number of 8 bits is one
bfloat16, where a float32 is three: a third of the work for the matrix unit.
"""
import math

import numba
import numpy

from bnn.kernels import cpu_threads

_LARGEST = 255
# How far an entry may be off, of its size: roundings of pixel and of step
_TOLERANCE = 2. ** -22


class Levels(object):

    """A matrix as numbers of 8 bits and their scale.

    Attributes:
        scale (float): 256 steps.
        numbers (numpy.ndarray): Levels / 256, none above 1, of bfloat16, as
            uint16.  In whole tiles: rows and columns behind those of the
            matrix are 0.
        shape (tuple of int): Of the matrix.
    """

    def __init__(self, scale, numbers, shape):
        self.scale = scale
        self.numbers = numbers
        self.shape = shape


def find(x):
    """Finds the levels of a matrix.

    Its largest entry, without the sign, is taken for the 255th level, as it
    is in a batch of images that has a white pixel.

    Args:
        x (numpy.ndarray): float32 (n, k).

    Returns:
        Levels or None: ``None`` where an entry differs from a level by more
        than 2^-22 of its size.
    """
    if not x.size:
        return None
    x = numpy.ascontiguousarray(x)
    tops = numpy.empty(len(x), numpy.uint32)
    _find_tops(x.size, x.view(numpy.uint32), tops)
    step = float(tops.max(keepdims=True).view(numpy.float32)[0]) / _LARGEST
    if not 0 < step < math.inf:
        return None
    n, k = x.shape
    numbers = numpy.zeros((-(-n // 32) * 32, -(-k // 32) * 32), numpy.uint16)
    n_off = numpy.empty(n, numpy.int64)
    for rows in (1, n):  # Most that are none show it at once.
        _find_numbers(rows * k, x[:rows], step, numbers, n_off)
        if n_off[:rows].any():
            return None
    return Levels(256 * step, numbers, x.shape)


@cpu_threads.Kernel
def _find_tops(bits, tops):
    # As whole numbers, whose largest is found in vectors; NaN is above all.
    for i in numba.prange(len(bits)):
        top = numpy.uint32(0)
        for j in range(bits.shape[1]):
            top = max(top, bits[i, j] & numpy.uint32(0x7FFFFFFF))
        tops[i] = top


@cpu_threads.Kernel
def _find_numbers(x, step, numbers, n_off):
    inverse = 1 / step
    for i in numba.prange(len(x)):
        off = 0
        for j in range(x.shape[1]):
            value = numpy.float64(x[i, j])
            number = numpy.rint(value * inverse)
            off += abs(value - number * step) > _TOLERANCE * abs(value)
            numbers[i, j] = numpy.float32(number / 256).view(
                numpy.uint32) >> numpy.uint32(16)
        n_off[i] = off
