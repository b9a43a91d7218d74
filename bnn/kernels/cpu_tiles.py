"""Products of float32 matrices and signs, or levels, on the matrix unit.

Every term is exact, as the unit adds up all three parts of a number; sums are
of float32, each off by at most ``k`` 2^-22 times the sum of the sizes of its
``k`` terms.  Parts below 2^-126 count as 0.
"""
import numba
import numpy

from bnn.kernels import amx
from bnn.kernels import cpu_threads

# Of the right factor a thread makes tiles of, bytes; in its second cache
_PANEL = 1 << 18

# The bytes of its blocks of 32 rows and 32 columns
_BLOCK = 2 * amx.TILE

# What it is: signs, packed by rows or by columns, or numbers
_ROWS, _COLUMNS, _NUMBERS = range(3)


def by_rows(a, bits, n):
    """Multiplies a matrix by signs: ``a S``.

    Args:
        a (numpy.ndarray): float32 (m, k), any strides.
        bits (numpy.ndarray): Packed rows, uint32 (k, words).
        n (int): Signs in a row.

    Returns:
        numpy.ndarray: float32 (m, n).
    """
    return _product(a, bits, n, _ROWS)


def by_columns(a, columns):
    """Multiplies a matrix by transposed signs: ``a S^T``.

    Args:
        a (numpy.ndarray): float32 (m, k), any strides.
        columns (~bnn.kernels.cpu_bits.Columns): Packed rows of ``S``, of
            ``k`` signs.

    Returns:
        numpy.ndarray: float32 (m, n).
    """
    return _product(a, columns.tiles, columns.n, _COLUMNS)


def by_levels(a, levels):
    """Multiplies a matrix by one of 8-bit numbers: ``a X``.

    A term is off by at most 2^-21 of its size, as ``X`` is taken for its
    levels and ``a`` is multiplied by their scale.

    Args:
        a (numpy.ndarray): float32 (m, k), any strides.
        levels (~bnn.kernels.cpu_levels.Levels): Of ``X``.

    Returns:
        numpy.ndarray: float32 (m, n).
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
    left = _lines(blocks * steps * 6 * amx.TILE).reshape(blocks, steps, -1)
    if a.flags.f_contiguous and not a.flags.c_contiguous:
        _split_columns(a.size, a.T, left)
    else:
        _split_rows(a.size, numpy.ascontiguousarray(a), left)
    work, columns = y.size * steps, -(-n // 32)
    threads = cpu_threads.n_threads(work)
    # Panels, as many for each thread, or shares of the rows of a single one
    panels = -(-columns // max(_PANEL // (steps * _BLOCK), 1))
    if panels > 1:
        panels = min(columns, -(-panels // threads) * threads)
    shares = min(blocks, -(-threads // panels))
    _multiply(work, left, right.ctypes.data, right.strides[0], kind, k,
              panels, shares, amx.CONFIG, y)
    return y


def _lines(n_bytes):
    # Whole lines of the cache: the unit takes twice as long across two.
    space = numpy.empty(n_bytes + 63, numpy.uint8)
    return space[-space.ctypes.data % 64:][:n_bytes]


@cpu_threads.Kernel
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


@cpu_threads.Kernel
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


@cpu_threads.Kernel
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
        space[0] = 0  # it lives until here


@numba.njit(error_model='numpy', nogil=True)
def _signs_of_rows(bits, stride, k, column, steps, target):
    zero = numpy.uint32(0)
    for step in range(steps):
        for r in range(0, 32, 2):
            i = 32 * step + r
            row = bits + i * stride + 4 * column
            amx.signs_of_rows(
                amx.word_at(row) if i < k else zero,
                amx.word_at(row + stride) if i + 1 < k else zero,
                target + step * _BLOCK + 32 * r)


@numba.njit(error_model='numpy', nogil=True)
def _signs_of_columns(bits, column, steps, target):
    # 64 columns' words, then the words of their next 32 signs
    bits += column // 2 * steps * 256 + column % 2 * 128
    for step in range(steps):
        amx.signs_of_columns(bits + 256 * step, target + step * _BLOCK)


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
