"""Products of float32 matrices that are rounded to bfloat16.

They are made of the tiles of :mod:`bnn.kernels.float_tiles`; the threads share
groups of columns and blocks of rows of the result.  Without rounding, and
where the processor has no unit for bfloat16, numbers are multiplied by signs
as :mod:`bnn.kernels.sign_products` does it.
"""
import numba
import numpy

from bnn.kernels import float_tiles
from bnn.kernels import sign_products
from bnn.kernels import threads

#: Precisions of the operands of a product
PRECISIONS = 'float32', 'bfloat16'
#: The one that takes less time on this processor
FASTER = PRECISIONS[float_tiles.UNIT != float_tiles.FLOATS]

_COLUMNS = float_tiles.COLUMNS
# A pair of bfloat16 of -1
_MINUS_ONES = numpy.uint32(0xBF80BF80)
# Rows and words that are transposed together
_SQUARE = 16
# Words of a panel, which the second cache holds together with the rows
_WORDS = 512
# Rows of a block, whole tiles of each unit
_ROWS = 96
# In place of the operand that a product does not have
_NO_NUMBERS = numpy.zeros((0, 0), numpy.float32)
_NO_SIGNS = numpy.zeros((0, 0), numpy.uint32)


def has_tables(precision: str) -> bool:
    """Tells whether numbers are multiplied by signs from tables of sums.

    So it is with ``'float32'``, and where the processor has no unit for
    bfloat16.
    """
    return precision == 'float32' or float_tiles.UNIT == float_tiles.FLOATS


def multiply_rounded(a: numpy.ndarray, b: numpy.ndarray) -> numpy.ndarray:
    """Rounds two matrices to bfloat16 and multiplies them.

    The products are exact and the sums of float32: a sum of ``k`` terms is
    off by at most ``k`` 2^-23 times the sum of the sizes of its terms.
    Numbers below 2^-126 may count as 0.

    Args:
        a: float32 (m, k), any strides.
        b: float32 (k, n), any strides.

    Returns:
        float32 (m, n).
    """
    unit = float_tiles.UNIT
    if unit == float_tiles.FLOATS:
        return round_to_bfloat16(a).dot(round_to_bfloat16(b))
    y = _result(a, b.shape[1])
    if a.size and y.size:
        _run(_rows(a, unit), numpy.ascontiguousarray(b), _NO_SIGNS, unit, y)
    return y


def multiply_by_signs(a: numpy.ndarray, W: numpy.ndarray, k: int,
                      precision: str = 'float32') -> numpy.ndarray:
    """Multiplies a matrix by packed signs: ``a W``.

    Args:
        a: float32 (m, n), any strides; rounded, see
            :func:`multiply_rounded`, with the precision ``'bfloat16'``.
        W: Packed signs, uint32 (n, words), see :func:`bnn.kernels.bits.pack`.
        k: Signs in a row.
        precision: One of :data:`PRECISIONS`.

    Returns:
        float32 (m, k).

    Raises:
        ValueError: If ``W`` has another number of rows, or of words in one.
    """
    if has_tables(precision):
        if precision == 'bfloat16':
            a = round_to_bfloat16(a)
        return sign_products.multiply(a, W, k)
    sign_products.check(a, W, k)
    unit, y = float_tiles.UNIT, _result(a, k)
    if a.size and y.size:
        _run(_rows(a, unit), _NO_NUMBERS, W, unit, y)
    return y


def _result(a, n):
    # Where there are no terms, no kernel begins the sums.
    return (numpy.empty if a.size else numpy.zeros)(
        (len(a), n), numpy.float32)


def _run(rows, b, W, unit, y):
    work = y.size * rows.shape[1] // 16
    _multiply(work, rows, b, W, unit, y, threads.n_threads(work))


def _rows(a, unit):
    """Returns the words of a matrix for a unit, whole blocks of it."""
    m, k = a.shape
    n_words = float_tiles.whole(-(-k // 2), float_tiles.WORDS[unit])
    rows = numpy.zeros((
        float_tiles.whole(m, max(_SQUARE, float_tiles.ROWS[unit])),
        float_tiles.whole(n_words, _SQUARE)), numpy.uint32)
    if a.T.flags.c_contiguous:
        _round_columns(a.size, a.T, rows)
    else:
        _round_rows(a.size, numpy.ascontiguousarray(a),
                    rows.view(numpy.uint16))
    return rows.view(numpy.float32)[:, :n_words]


def round_to_bfloat16(x: numpy.ndarray) -> numpy.ndarray:
    """Rounds to the nearest number of 8 bits, ties to even.  NaN stays NaN.

    Args:
        x: float32, any shape.

    Returns:
        float32, of the shape of ``x``.
    """
    y = numpy.empty(x.shape, numpy.float32)
    _round(x.size, numpy.ascontiguousarray(x).reshape(-1), y.reshape(-1),
           threads.n_threads(x.size))
    return y


@threads.Kernel
def _round(x, y, n_parts):
    for part in numba.prange(n_parts):
        first = part * x.size // n_parts
        last = (part + 1) * x.size // n_parts
        float_tiles.copy(x[first:last], True, numpy.float32(1),
                         y[first:last])


@threads.Kernel
def _round_rows(a, rows):
    for i in numba.prange(len(a)):
        for j in range(a.shape[1]):
            rows[i, j] = float_tiles.bfloat16(a[i, j])


@threads.Kernel
def _round_columns(b, rows):
    """Rounds a transposed matrix."""
    n_squares = _COLUMNS // _SQUARE
    for tile in numba.prange(-(-b.shape[1] // _COLUMNS)):
        first = tile * _COLUMNS
        panel = numpy.zeros((_SQUARE, _COLUMNS), numpy.uint32)
        for word in range(0, rows.shape[1], _SQUARE):
            _pair_up(b, word, _SQUARE, first, panel)
            for i in range(min(n_squares, (len(rows) - first) // _SQUARE)):
                square = i * _SQUARE
                float_tiles.transpose(
                    panel[:, square:].ctypes.data, 4 * _COLUMNS,
                    rows[first + square:, word:].ctypes.data,
                    rows.strides[0])


@threads.Kernel
def _multiply(rows, b, W, unit, y, n_threads):
    """Multiplies rows by numbers ``b``, or by packed signs ``W``.

    The panels of some columns stay in the second cache, while blocks of rows
    are multiplied by all of them: neighbours in memory are written one after
    the other.
    """
    n_tiles = -(-y.shape[1] // _COLUMNS)
    n_words = rows.shape[1]
    longest = min(n_words, _WORDS)
    n_together = max(1, _WORDS // longest)
    n_groups = -(-n_tiles // n_together)
    n_parts = -(-2 * n_threads // n_groups)
    n_blocks = -(-len(y) // _ROWS)
    for task in numba.prange(n_groups * n_parts):
        part, group = divmod(task, n_groups)
        start = numpy.int64(group) * n_together
        n_there = min(n_together, n_tiles - start)
        panels = numpy.zeros((n_there, longest, _COLUMNS), numpy.uint32)
        sums = numpy.zeros((_ROWS, _COLUMNS), numpy.float32)
        for word in range(0, n_words, longest):
            length = min(longest, n_words - word)
            for t in range(n_there):
                first = (start + t) * _COLUMNS
                if len(W):
                    _expand(W, word, length, first, panels[t])
                else:
                    _pair_up(b, word, length, first, panels[t])
            for block in range(part * n_blocks // n_parts,
                               (part + 1) * n_blocks // n_parts):
                row = block * _ROWS
                for t in range(n_there):
                    _add_product(unit, rows[row:, word:], word == 0,
                                 panels[t], length, (start + t) * _COLUMNS,
                                 y[row:row + _ROWS], sums)


@numba.njit(error_model='numpy')
def _pair_up(b, word, n_words, first, panel):
    """Makes pairs of bfloat16 of columns; terms that are not there are 0."""
    width = min(_COLUMNS, b.shape[1] - first)
    zeros = numpy.zeros(_COLUMNS, numpy.float32)
    for i in range(n_words):
        low = 2 * (word + i)
        float_tiles.pair_up(
            b[low, first:first + width] if low < len(b) else zeros[:width],
            b[low + 1, first:first + width] if low + 1 < len(b)
            else zeros[:width], panel[i, :width])


@numba.njit(error_model='numpy')
def _expand(W, word, n_words, first, panel):
    """Makes pairs of bfloat16 of packed signs."""
    for i in range(n_words):
        # Terms that are not there are multiplied by 0.
        low = min(2 * (word + i), len(W) - 1)
        high = min(low + 1, len(W) - 1)
        for j in range(first // 32, min(first // 32 + 2, W.shape[1])):
            _expand_pair(W[low, j], W[high, j], panel[i, 32 * j - first:])


@numba.njit(error_model='numpy')
def _expand_pair(low, high, signs):
    """Makes pairs of bfloat16 of the bits of two words."""
    one = numpy.uint32(1)
    for i in range(32):
        bit = numpy.uint32(i)
        signs[i] = _MINUS_ONES ^ (
            ((low >> bit) & one) << numpy.uint32(15)) ^ (
            (high >> bit) << numpy.uint32(31))


@numba.njit(error_model='numpy')
def _add_product(unit, rows, is_first, panel, n_words, first, y, sums):
    """Adds the product of some rows by a panel to columns of ``y``.

    What is no whole tile is added up beside it, in ``sums``.
    """
    width = min(_COLUMNS, y.shape[1] - first)
    n_whole = 0
    if width == _COLUMNS:
        n_whole = len(y) // float_tiles.ROWS[unit] * float_tiles.ROWS[unit]
    if is_first:
        for i in range(len(y)):
            float_tiles.fill(numpy.float32(0), y[i, first:first + width])
    float_tiles.multiply(
        unit, rows.ctypes.data, rows.strides[0], n_whole, panel.ctypes.data,
        n_words, width, y[:, first:].ctypes.data, y.strides[0])
    if n_whole == len(y):
        return
    for i in range(n_whole, len(y)):
        float_tiles.copy(y[i, first:first + width], False, numpy.float32(1),
                         sums[i, :width])
    float_tiles.multiply(
        unit, rows[n_whole:].ctypes.data, rows.strides[0],
        float_tiles.whole(len(y) - n_whole, float_tiles.ROWS[unit]),
        panel.ctypes.data, n_words, width, sums[n_whole:].ctypes.data,
        sums.strides[0])
    for i in range(n_whole, len(y)):
        float_tiles.copy(sums[i, :width], False, numpy.float32(1),
                         y[i, first:first + width])
