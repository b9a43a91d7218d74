"""Products of whole numbers of 8 bits.  NumPy arrays."""
import numba
import numpy

from bnn.kernels import bits
from bnn.kernels import byte_tiles
from bnn.kernels import threads

_ROWS, _COLUMNS, _DEPTH = (
    byte_tiles.ROWS, byte_tiles.COLUMNS, byte_tiles.DEPTH)
# Rows that the columns are loaded once for
_BLOCK = 96

# Whether the processor multiplies bytes: for 8 bits ahead of 8 popcounts and
# of the BLAS.  Popcount of single bits is behind AMX, and ahead of the others.
IS_AVAILABLE = byte_tiles.IS_AVAILABLE
IS_AHEAD_OF_POPCOUNT = byte_tiles.HAS_AMX
# The largest size of a number of the second factor
LARGEST = byte_tiles.LARGEST


def arrange(W: numpy.ndarray) -> bits.Columns:
    """Arranges the second factor of a product.

    Args:
        W: int8 (n, k), of at most the size :data:`LARGEST`.

    Returns:
        Columns, four numbers a word.
    """
    rows = numpy.zeros((len(W), -(-W.shape[1] // _DEPTH) * _DEPTH),
                       numpy.int8)
    rows[:, :W.shape[1]] = W
    return bits.Columns(rows.view(numpy.uint32))


def multiply(x: numpy.ndarray, columns: bits.Columns) -> numpy.ndarray:
    """Multiplies bytes: ``x W^T``, exact below 2^31.

    The processor must have the instructions, see :data:`IS_AVAILABLE`.

    Args:
        x: uint8 (m, k), C-contiguous.
        columns: ``W``, int8 (n, k), as :func:`arrange` returns it.

    Returns:
        int32 (m, n).
    """
    y = numpy.empty((len(x), columns.n), numpy.int32)
    if y.size and x.shape[1]:
        work = y.size * columns.n_words
        _multiply(work, x, columns.tiles, y,
                  min(threads.n_threads(work), -(-len(x) // _ROWS)))
    else:
        y[...] = 0
    return y


@threads.Kernel
def _multiply(x, columns, y, n_parts):
    n_blocks = -(-len(x) // _ROWS)
    for part in numba.prange(n_parts):
        _multiply_some(
            x, columns, y, part * n_blocks // n_parts * _ROWS,
            min(len(x), (part + 1) * n_blocks // n_parts * _ROWS))


@numba.njit(error_model='numpy')
def _multiply_some(x, columns, y, start, end):
    n_words = columns.shape[1]
    stride = 4 * n_words
    n_rows = min(_BLOCK, end - start)
    n_rows += -n_rows % _ROWS
    space = numpy.zeros(stride * n_rows + 64, numpy.uint8)
    rows = (space.ctypes.data + 63) // 64 * 64
    shift = rows - space.ctypes.data
    sums = numpy.empty((_ROWS, _COLUMNS), numpy.int32)
    for first in range(start, end, _BLOCK):
        m = min(_BLOCK, end - first)
        for i in range(m):
            at = shift + stride * i
            byte_tiles.copy_row(x[first + i], space[at:at + stride])
        byte_tiles.ready()
        for j in range(len(columns)):
            column = j * _COLUMNS
            width = min(_COLUMNS, y.shape[1] - column)
            for i in range(0, m, _ROWS):
                height = min(_ROWS, m - i)
                byte_tiles.byte_tile(
                    rows + stride * i, stride, columns[j].ctypes.data,
                    n_words, sums.ctypes.data, 4 * _COLUMNS)
                y[first + i:first + i + height, column:column + width] = (
                    sums[:height, :width])
        byte_tiles.release()
    # Keeps them until here, where only their addresses were known
    space[0] = 0
    sums[0, 0] = 0
