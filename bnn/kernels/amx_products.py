"""Products of float32 matrices on Intel's matrix unit (AMX).

NumPy arrays.  The right factor is signs, or a matrix of 8-bit numbers, its
*levels*.  Every term is exact, since the unit adds up all three parts of a
float32.  Sums are of float32, each off by at most ``k`` 2^-22 times the sum
of the sizes of its ``k`` terms.  Parts below 2^-126 count as 0.

Pixels in [0, 1] are whole numbers up to 255 times a step, each rounded to
float32, and so is what dropout leaves of them.  A whole number of 8 bits is
one bfloat16 where a float32 is three, which is a third of the work.
"""
import math

import numba
import numpy

from bnn.kernels import amx
from bnn.kernels import bits
from bnn.kernels import threads

# Bytes of the right factor that a thread makes tiles of, which its second
# cache holds
_PANEL = 1 << 18

# Bytes of a block of 32 rows and 32 columns of it
_BLOCK = 2 * amx.TILE

# What it is: signs, packed by rows or by columns, or numbers
_ROWS, _COLUMNS, _NUMBERS = range(3)

_LARGEST = 255  # level
# How far an entry may be from its level, relative to its size: the roundings
# of pixel and of step
_TOLERANCE = 2. ** -22


class Levels:

    """A matrix as numbers of 8 bits and their scale.

    Attributes:
        scale (float): 256 steps.
        numbers (numpy.ndarray): Levels / 256, none above 1, bfloat16 as
            uint16, in whole tiles: rows and columns behind those of the
            matrix are 0.
        shape (tuple of int): Of the matrix.
    """

    def __init__(self, scale: float, numbers: numpy.ndarray,
                 shape: tuple[int, int]):
        self.scale = scale
        self.numbers = numbers
        self.shape = shape


def find_levels(x: numpy.ndarray) -> Levels | None:
    """Finds the levels of a matrix.

    The largest size of an entry is taken for the 255th level, as it is in a
    batch of images that has a white pixel.

    Args:
        x: float32 (n, k).

    Returns:
        The levels, or ``None`` where an entry differs from a level by more
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
    for rows in (1, n):  # Most that have none show it at once.
        _find_numbers(rows * k, x[:rows], step, numbers, n_off)
        if n_off[:rows].any():
            return None
    return Levels(256 * step, numbers, x.shape)


@threads.Kernel
def _find_tops(bits, tops):
    # Whole numbers, whose largest is found in vectors.  NaN is above all.
    for i in numba.prange(len(bits)):
        top = numpy.uint32(0)
        for j in range(bits.shape[1]):
            top = max(top, bits[i, j] & numpy.uint32(0x7FFFFFFF))
        tops[i] = top


@threads.Kernel
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


def by_rows(a: numpy.ndarray, rows: numpy.ndarray, n: int) -> numpy.ndarray:
    """Multiplies a matrix by signs: ``a S``.

    Args:
        a: float32 (m, k), any strides.
        rows: Packed rows of ``S``, uint32 (k, words), see
            :func:`bnn.kernels.bits.pack`.
        n: Signs in a row.

    Returns:
        float32 (m, n).
    """
    return _product(a, rows, n, _ROWS)


def by_columns(a: numpy.ndarray, columns: bits.Columns) -> numpy.ndarray:
    """Multiplies a matrix by transposed signs: ``a S^T``.

    Args:
        a: float32 (m, k), any strides.
        columns: Packed rows of ``S``, of ``k`` signs, arranged.

    Returns:
        float32 (m, n).
    """
    return _product(a, columns.tiles, columns.n, _COLUMNS)


def by_levels(a: numpy.ndarray, levels: Levels) -> numpy.ndarray:
    """Multiplies a matrix by one of 8-bit numbers: ``a X``.

    A term is off by at most 2^-21 of its size, because ``X`` is taken for its
    levels and ``a`` is multiplied by their scale.

    Args:
        a: float32 (m, k), any strides.
        levels: Of ``X``.

    Returns:
        float32 (m, n).
    """
    return _product(a * numpy.float32(levels.scale), levels.numbers,
                    levels.shape[1], _NUMBERS)


def _product(a, right, n, kind):
    m, k = a.shape
    y = numpy.empty((m, n), numpy.float32)
    if not (y.size and k):
        y[...] = 0
        return y
    blocks, steps = -(-m // 32), -(-k // 32)
    left = bits.aligned((blocks, steps, 6 * amx.TILE), numpy.uint8)
    if a.flags.f_contiguous and not a.flags.c_contiguous:
        _split_columns(a.size, a.T, left)
    else:
        _split_rows(a.size, numpy.ascontiguousarray(a), left)
    work, columns = y.size * steps, -(-n // 32)
    n_threads = threads.n_threads(work)
    # As many panels for each thread; of a single panel, shares of the rows
    panels = -(-columns // max(_PANEL // (steps * _BLOCK), 1))
    if panels > 1:
        panels = min(columns, -(-panels // n_threads) * n_threads)
    shares = min(blocks, -(-n_threads // panels))
    _multiply(work, left, right.ctypes.data, right.strides[0], kind, k,
              panels, shares, amx.CONFIG, y)
    return y


@threads.Kernel
def _split_rows(a, parts):
    m, k = a.shape
    first, stride = a.ctypes.data, a.strides[0]
    for block in numba.prange(len(parts)):
        edge = numpy.zeros(32, numpy.float32)
        for step in range(parts.shape[1]):
            target = parts[block, step:].ctypes.data
            whole = 32 * step + 32 <= k
            for r in range(32):
                i = 32 * block + r
                row = first + i * stride + 128 * step
                if i >= m or not whole:
                    edge[:] = 0
                    if i < m:
                        edge[:k - 32 * step] = a[i, 32 * step:]
                    row = edge.ctypes.data
                # The second 16 rows are the next tile.
                amx.parts_of_row(row, target + 64 * r)


@threads.Kernel
def _split_columns(a, parts):
    k, m = a.shape
    for block in numba.prange(len(parts)):
        edge = numpy.zeros((32, 32), numpy.float32)
        width = min(32, m - 32 * block)
        for step in range(parts.shape[1]):
            height = min(32, k - 32 * step)
            target = parts[block, step:].ctypes.data
            if width == 32 and height == 32:
                amx.parts_of_columns(
                    a[32 * step:, 32 * block:].ctypes.data, a.strides[0],
                    target)
            else:
                edge[:] = 0
                for i in range(height):
                    for j in range(width):
                        edge[i, j] = a[32 * step + i, 32 * block + j]
                amx.parts_of_columns(edge.ctypes.data, 128, target)


@threads.Kernel
def _multiply(left, factor, stride, kind, k, panels, shares, config, y):
    steps = left.shape[1]
    columns = -(-y.shape[1] // 32)
    for task in numba.prange(panels * shares):
        panel, share = task // shares, task % shares
        first = panel * columns // panels
        last = (panel + 1) * columns // panels
        space = numpy.empty((last - first) * steps * _BLOCK + 64,
                            numpy.uint8)
        right = (space.ctypes.data + 63) // 64 * 64
        for column in range(first, last):
            target = right + (column - first) * steps * _BLOCK
            if kind == _COLUMNS:
                _signs_of_columns(factor, column, steps, target)
            elif kind == _ROWS:
                _signs_of_rows(factor, stride, k, column, steps, target)
            else:
                _numbers_of_rows(factor, stride, column, steps, target)
        _multiply_panel(left, right, first, last, share, shares, config, y)
        space[0] = 0  # keeps it until here, where only its address was known


@numba.njit(error_model='numpy', nogil=True)
def _signs_of_rows(words, stride, k, column, steps, target):
    zero = numpy.uint32(0)
    for step in range(steps):
        for r in range(0, 32, 2):
            i = 32 * step + r
            row = words + i * stride + 4 * column
            amx.signs_of_rows(
                amx.word_at(row) if i < k else zero,
                amx.word_at(row + stride) if i + 1 < k else zero,
                target + step * _BLOCK + 32 * r)


@numba.njit(error_model='numpy', nogil=True)
def _signs_of_columns(words, column, steps, target):
    # 64 columns' words, then the words of their next 32 signs
    words += column // 2 * steps * 256 + column % 2 * 128
    for step in range(steps):
        amx.signs_of_columns(words + 256 * step, target + step * _BLOCK)


@numba.njit(error_model='numpy', nogil=True)
def _numbers_of_rows(numbers, stride, column, steps, target):
    for step in range(steps):
        for r in range(0, 32, 2):
            row = numbers + (32 * step + r) * stride + 64 * column
            amx.numbers_of_rows(
                row, row + stride, target + step * _BLOCK + 32 * r)


@numba.njit(error_model='numpy', nogil=True)
def _multiply_panel(left, right, first, last, share, shares, config, y):
    """Multiplies a share of the rows by the columns of a panel."""
    m, n = y.shape
    blocks, steps = left.shape[:2]
    result = numpy.empty((32, 32), numpy.float32)
    amx.configure(config.ctypes.data)
    for block in range(share * blocks // shares,
                       (share + 1) * blocks // shares):
        i = 32 * block
        a = left[block].ctypes.data
        for column in range(first, last):
            j = 32 * column
            b = right + (column - first) * steps * _BLOCK
            if i + 32 <= m and j + 32 <= n:
                amx.multiply(a, b, steps, y[i:, j:].ctypes.data,
                             y.strides[0])
                continue
            amx.multiply(a, b, steps, result.ctypes.data, 128)
            for r in range(min(32, m - i)):
                for c in range(min(32, n - j)):
                    y[i + r, j + c] = result[r, c]
    amx.release()
