"""Products of float32 matrices by packed signs, from tables of sums.

The signs are rows of patterns, see :mod:`bnn.kernels.sign_tables`, and the
numbers are the columns of the tables: a product is computed transposed, and
turned a block at a time.
"""
import numba
import numpy

from bnn.kernels import float_tiles
from bnn.kernels import sign_tables
from bnn.kernels import threads

_TERMS, _COLUMNS = sign_tables.TERMS, sign_tables.COLUMNS
_GROUPS = sign_tables.GROUPS
# Rows of patterns that share a table; the second cache holds their sums
_ROWS = 512
_RUN = float_tiles.RUN
# Patterns of a packed word, and words that a table serves
_PER_WORD = 32 // _TERMS
_WORDS = _GROUPS // _PER_WORD
# Bytes of a line of the cache
_LINE = 64


def multiply_by_transposed(a: numpy.ndarray, W: numpy.ndarray
                           ) -> numpy.ndarray:
    """Multiplies a matrix by packed signs: ``a W^T``.

    A sum of ``k`` terms is off by at most ``k`` 2^-23 times the sum of the
    sizes of its terms.

    Args:
        a: float32 (m, k), any strides.
        W: Packed signs, uint32 (n, words), see :func:`bnn.kernels.bits.pack`.

    Returns:
        float32 (m, n).

    Raises:
        ValueError: If ``W`` has other words in a row.
    """
    _check_words(a.shape[1], W)
    # The patterns that a table serves follow one another, row by row.
    patterns = numpy.empty(
        (-(-W.shape[1] // _WORDS), len(W), _GROUPS), numpy.uint8)
    _write_rows(patterns.size, W, patterns)
    groups = numpy.arange(-(-a.shape[1] // _TERMS))
    groups = groups // _GROUPS * (len(W) * _GROUPS) + groups % _GROUPS
    return _multiply(a, patterns, _GROUPS, groups, len(W))


def multiply(a: numpy.ndarray, W: numpy.ndarray, k: int) -> numpy.ndarray:
    """Multiplies a matrix by packed signs: ``a W``.

    Args:
        a: float32 (m, n), any strides.
        W: As of :func:`multiply_by_transposed`.
        k: Signs in a row.

    Returns:
        float32 (m, k).

    Raises:
        ValueError: If ``W`` has another number of rows, or of words in one.
    """
    check(a, W, k)
    # Not a power of 2, so that one place of each row is in another set of the
    # cache
    patterns = numpy.empty(
        (-(-len(W) // _TERMS), 32 * W.shape[1] + _LINE), numpy.uint8)
    _write_patterns(patterns.size, W, patterns)
    return _multiply(a, patterns, 1,
                     patterns.shape[1] * numpy.arange(len(patterns)), k)


def check(a: numpy.ndarray, W: numpy.ndarray, k: int):
    """Raises ValueError for operands of :func:`multiply` that do not fit."""
    _check_words(k, W)
    if a.shape[1] != len(W):
        raise ValueError(f'{a.shape[1]} columns by {len(W)} rows')


def _check_words(k, W):
    # The kernels read words where they are told to.
    n_bits = 32 * W.shape[1]
    if not n_bits - 32 < k <= n_bits:
        raise ValueError(f'{k} terms by the {n_bits} bits of a row')


@threads.Kernel
def _write_rows(W, patterns):
    """Writes the patterns of a row after another, some words of all rows."""
    for part in numba.prange(len(patterns)):
        first = part * _WORDS
        for r in range(len(W)):
            for j in range(min(_WORDS, W.shape[1] - first)):
                for i in range(_PER_WORD):
                    patterns[part, r, j * _PER_WORD + i] = (
                        W[r, first + j] >> numpy.uint32(_TERMS * i)
                        & numpy.uint32(15))


@threads.Kernel
def _write_patterns(W, patterns):
    """Writes the patterns of four rows after another, for each column."""
    last = len(W) - 1
    for g in numba.prange(len(patterns)):
        for j in range(W.shape[1]):
            _mix(W[g * _TERMS, j], W[min(g * _TERMS + 1, last), j],
                 W[min(g * _TERMS + 2, last), j],
                 W[min(g * _TERMS + 3, last), j],
                 patterns[g, 32 * j:32 * j + 32])


@numba.njit(error_model='numpy')
def _mix(a, b, c, d, patterns):
    one = numpy.uint32(1)
    for i in range(32):
        bit = numpy.uint32(i)
        patterns[i] = (a >> bit & one) | (b >> bit & one) << one | (
            c >> bit & one) << numpy.uint32(2) | (
            d >> bit & one) << numpy.uint32(3)


def _multiply(a, patterns, stride, groups, n):
    """Multiplies by ``n`` rows of patterns; see :func:`sign_tables.look_up`.
    """
    y = numpy.empty((len(a), n), numpy.float32)
    if not a.size:
        y[...] = 0
        return y
    terms = a.T
    if not terms.flags.c_contiguous:
        terms = numpy.empty(terms.shape, numpy.float32)
        _turn(a.size, numpy.ascontiguousarray(a), terms)
    _look_up(y.size * len(terms) // 64, terms, patterns.reshape(-1), stride,
             groups, y)
    return y


@threads.Kernel
def _turn(a, b):
    """Transposes a matrix."""
    for block in numba.prange(-(-len(a) // _RUN)):
        for column in range(0, a.shape[1], _RUN):
            _turn_block(a, block * _RUN, column, b)


@threads.Kernel
def _look_up(terms, patterns, stride, groups, y):
    k, m = terms.shape
    n = y.shape[1]
    n_blocks = -(-m // _COLUMNS)
    for part in numba.prange(-(-n // _ROWS) * n_blocks):
        row, column = part // n_blocks * _ROWS, part % n_blocks * _COLUMNS
        n_rows = min(_ROWS, n - row)
        panel = float_tiles.make_panel(_GROUPS * _TERMS)
        sums = numpy.zeros((n_rows, _COLUMNS), numpy.float32)
        for group in range(0, len(groups), _GROUPS):
            n_groups = min(_GROUPS, len(groups) - group)
            first, last = group * _TERMS, (group + n_groups) * _TERMS
            source, pitch = terms[first:, column:].ctypes.data, 4 * m
            if last > k or column + _COLUMNS > m:
                _fill_up(terms, first, column, panel)
                source, pitch = panel.ctypes.data, 4 * _COLUMNS
            sign_tables.multiply(
                patterns[row * stride:].ctypes.data, stride, n_rows,
                groups[group:].ctypes.data, n_groups, source, pitch,
                sums.ctypes.data, 4 * _COLUMNS)
        for i in range(0, n_rows, _RUN):
            for j in range(0, min(_COLUMNS, m - column), _RUN):
                _turn_block(sums, i, j, y[column:, row:])


@numba.njit(error_model='numpy')
def _fill_up(terms, first, column, panel):
    """Copies terms of a block of columns; 0 where there are none."""
    panel[:] = 0
    for i in range(min(_GROUPS * _TERMS, len(terms) - first)):
        for j in range(min(_COLUMNS, terms.shape[1] - column)):
            panel[i * _COLUMNS + j] = terms[first + i, column + j]


@numba.njit(error_model='numpy')
def _turn_block(a, row, column, b):
    """Writes up to 16 by 16 numbers transposed, those that ``b`` has."""
    height, width = min(_RUN, len(a) - row), min(_RUN, a.shape[1] - column)
    if height == width == _RUN and column + width <= len(b) and (
            row + height <= b.shape[1]):
        float_tiles.transpose(
            a[row:, column:].ctypes.data, a.strides[0],
            b[column:, row:].ctypes.data, b.strides[0])
        return
    for i in range(min(height, b.shape[1] - row)):
        for j in range(min(width, len(b) - column)):
            b[column + j, row + i] = a[row + i, column + j]
