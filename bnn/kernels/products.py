"""Products of float32 matrices rounded to bfloat16.  NumPy.

They are made of the tiles of :mod:`bnn.kernels.float_tiles`, where the
processor has a unit for pairs of bfloat16.
"""
import numba
import numpy

from bnn.kernels import float_tiles
from bnn.kernels import threads

#: Precisions of the operands of a product
PRECISIONS = 'float32', 'bfloat16'
#: The one that takes less time on this processor
FASTER = PRECISIONS[float_tiles.UNIT != float_tiles.FLOATS]

_COLUMNS = float_tiles.COLUMNS
# Words of a panel, which the second cache holds together with the rows
_WORDS = 512


def multiply_rounded(a: numpy.ndarray, b: numpy.ndarray,
                     is_exact: bool = False) -> numpy.ndarray:
    """Rounds two matrices to bfloat16 and multiplies them.

    The products are exact and the sums of float32: a sum of ``k`` terms is
    off by at most ``k`` 2^-23 times the sum of the sizes of its terms.
    Numbers below 2^-126 may count as 0.

    Args:
        a: float32 (m, k), any strides.
        b: float32 (k, n), any strides.
        is_exact: Whether ``b`` is of 8-bit numbers already, as signs are.

    Returns:
        float32 (m, n).
    """
    unit = float_tiles.UNIT
    if unit == float_tiles.FLOATS:
        return round_to_bfloat16(a).dot(
            b if is_exact else round_to_bfloat16(b))
    (m, k), n = a.shape, b.shape[1]
    y = numpy.zeros((m, n), numpy.float32)
    if y.size and k:
        n_words = float_tiles.whole(-(-k // 2), float_tiles.WORDS[unit])
        rows = numpy.zeros((float_tiles.whole(m, float_tiles.ROWS[unit]),
                            2 * n_words), numpy.uint16)
        _round_rows(a.size, numpy.ascontiguousarray(a), rows)
        _multiply(y.size * k // 32, rows.view('f'), numpy.ascontiguousarray(b),
                  unit, y)
    return y


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
        float_tiles.round_all(x[first:last], y[first:last])


@threads.Kernel
def _round_rows(a, rows):
    for i in numba.prange(len(a)):
        for j in range(a.shape[1]):
            rows[i, j] = float_tiles.bfloat16(a[i, j])


@threads.Kernel
def _multiply(rows, b, unit, y):
    n_rows, n_words = rows.shape
    k, n = b.shape
    for t in numba.prange(-(-n // _COLUMNS)):
        first = t * _COLUMNS
        width = min(_COLUMNS, n - first)
        zeros = numpy.zeros(_COLUMNS, numpy.float32)
        panel = numpy.zeros((_WORDS, _COLUMNS), numpy.uint32)
        # A whole tile adds to the result itself.
        n_whole = len(y) if width == _COLUMNS and n_rows == len(y) else 0
        sums = numpy.zeros((n_rows - n_whole, _COLUMNS), numpy.float32)
        for word in range(0, n_words, _WORDS):
            length = min(_WORDS, n_words - word)
            for i in range(length):
                low = 2 * (word + i)
                float_tiles.pair_up(
                    b[low, first:first + width] if low < k
                    else zeros[:width],
                    b[low + 1, first:first + width] if low + 1 < k
                    else zeros[:width], panel[i, :width])
            float_tiles.multiply(
                unit, rows[:, word:].ctypes.data, 4 * n_words, n_whole,
                panel.ctypes.data, length, width, y[:, first:].ctypes.data,
                4 * n)
            float_tiles.multiply(
                unit, rows[:, word:].ctypes.data, 4 * n_words,
                n_rows - n_whole, panel.ctypes.data, length, width,
                sums.ctypes.data, 4 * _COLUMNS)
        for i in range(n_whole, len(y)):
            for j in range(width):
                y[i, first + j] = sums[i, j]
