"""Products of float32 matrices that are rounded to bfloat16.

They are made of the tiles of :mod:`bnn.kernels.float_tiles`, 64 columns of
the result after another, which the threads share.  Without rounding, and
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
# Columns of a matrix that is transposed, a line of the cache
_TOGETHER = 16
# Words of a panel, which the second cache holds together with the rows
_WORDS = 512


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
    if a.size:
        _multiply(_work(y, len(b)), _rows(a, unit),
                  numpy.ascontiguousarray(b), unit, y)
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
    if a.size:
        _multiply_by_rows(_work(y, len(W)), _rows(a, unit), W, unit, y)
    return y


def _result(a, n):
    # Where there are no terms, no kernel begins the sums.
    return (numpy.empty if a.size else numpy.zeros)(
        (len(a), n), numpy.float32)


def _work(y, n_terms):
    return y.size * n_terms // 32


def _rows(a, unit):
    """Returns the words of a matrix for a unit, whole blocks of it."""
    m, k = a.shape
    n_words = float_tiles.whole(-(-k // 2), float_tiles.WORDS[unit])
    rows = numpy.zeros((float_tiles.whole(m, float_tiles.ROWS[unit]),
                        2 * n_words), numpy.uint16)
    if a.T.flags.c_contiguous:
        _round_columns(a.size, a.T, rows)
    else:
        _round_rows(a.size, numpy.ascontiguousarray(a), rows)
    return rows.view('f')


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
    """Rounds a transposed matrix, some neighbours in memory together."""
    n = b.shape[1]
    for block in numba.prange(-(-n // _TOGETHER)):
        first = block * _TOGETHER
        for j in range(len(b)):
            for i in range(first, min(first + _TOGETHER, n)):
                rows[i, j] = float_tiles.bfloat16(b[j, i])


@threads.Kernel
def _multiply(rows, b, unit, y):
    k, n = b.shape
    n_words = rows.shape[1]
    for t in numba.prange(-(-n // _COLUMNS)):
        first = t * _COLUMNS
        width = min(_COLUMNS, n - first)
        zeros = numpy.zeros(_COLUMNS, numpy.float32)
        panel = numpy.zeros((_WORDS, _COLUMNS), numpy.uint32)
        sums = _begin(rows, first, y)
        for word in range(0, n_words, _WORDS):
            length = min(_WORDS, n_words - word)
            for i in range(length):
                low = 2 * (word + i)
                float_tiles.pair_up(
                    b[low, first:first + width] if low < k
                    else zeros[:width],
                    b[low + 1, first:first + width] if low + 1 < k
                    else zeros[:width], panel[i, :width])
            _add_product(unit, rows, word, panel, length, first, y, sums)


@threads.Kernel
def _multiply_by_rows(rows, W, unit, y):
    n = len(W)
    n_words = rows.shape[1]
    for t in numba.prange(-(-y.shape[1] // _COLUMNS)):
        first = t * _COLUMNS
        panel = numpy.zeros((_WORDS, _COLUMNS), numpy.uint32)
        sums = _begin(rows, first, y)
        for word in range(0, n_words, _WORDS):
            length = min(_WORDS, n_words - word)
            for i in range(length):
                for j in range(first // 32,
                               min(first // 32 + 2, W.shape[1])):
                    signs = panel[i, 32 * j - first:]
                    # Terms that are not there are multiplied by 0.
                    low = min(2 * (word + i), n - 1)
                    high = min(low + 1, n - 1)
                    _expand_pair(W[low, j], W[high, j], signs)
            _add_product(unit, rows, word, panel, length, first, y, sums)


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
def _begin(rows, first, y):
    """Begins the sums of a tile of columns with 0.

    Returns:
        Sums beside the result; none where the tile is whole, whose sums are
        the result itself.
    """
    if first + _COLUMNS <= y.shape[1] and len(rows) == len(y):
        y[:, first:first + _COLUMNS] = 0
        return numpy.zeros((0, _COLUMNS), numpy.float32)
    return numpy.zeros((len(rows), _COLUMNS), numpy.float32)


@numba.njit(error_model='numpy')
def _add_product(unit, rows, word, panel, n_words, first, y, sums):
    """Adds the product of rows by a panel to the sums of :func:`_begin`."""
    target, stride = y[:, first:].ctypes.data, 4 * y.shape[1]
    if len(sums):
        target, stride = sums.ctypes.data, 4 * _COLUMNS
    width = min(_COLUMNS, y.shape[1] - first)
    float_tiles.multiply(
        unit, rows[:, word:].ctypes.data, rows.strides[0], len(rows),
        panel.ctypes.data, n_words, width, target, stride)
    if len(sums) and word + n_words == rows.shape[1]:
        y[:, first:first + width] = sums[:len(y), :width]
