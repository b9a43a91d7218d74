"""Packed signs: 32 in a word.  NumPy arrays.

Bit ``i`` of word ``j`` in a row is 1 where element ``32 j + i`` is +1.
"""
import numba
import numpy

from bnn.kernels import nontemporal
from bnn.kernels import threads
from bnn.kernels import tiles

_ROWS, _COLUMNS = tiles.ROWS, tiles.COLUMNS


def pack(x: numpy.ndarray) -> numpy.ndarray:
    """Packs the signs of the last axis.

    Bit ``i`` of word ``j`` is ``x[..., 32 j + i] >= 0``, so that sign(0) is
    +1 and NaN gives 0.  Bits past the end are 0.

    Args:
        x: (..., k), any float dtype.

    Returns:
        uint32 (..., ceil(k / 32)).

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    if x.dtype.kind != 'f':
        raise TypeError(f'a floating point array is needed, not {x.dtype}')
    n = x.shape[-1] if x.ndim else 1
    words = numpy.empty((*x.shape[:-1], -(-n // 32)), numpy.uint32)
    if not words.size:
        return words
    rows = words.reshape(-1, words.shape[-1])
    if x.dtype == numpy.float32:  # the native byte order alone
        _pack(x.size, numpy.ascontiguousarray(x).reshape(len(rows), n), rows)
    else:
        octets = numpy.packbits(
            (x >= 0).reshape(len(rows), n), axis=1, bitorder='little')
        rows[...] = 0
        rows.view('u1')[:, :octets.shape[1]] = octets
    return words


@threads.Kernel
def _pack(x, words):
    whole = x.shape[1] // 32
    first, stride = x.ctypes.data, x.strides[0]
    for i in numba.prange(len(x)):
        start = first + i * stride
        for j in range(whole):
            words[i, j] = tiles.signs_of_32(start + 128 * j)
        if whole < words.shape[1]:
            word = numpy.uint32(0)
            for j in range(32 * whole, x.shape[1]):
                if x[i, j] >= 0:
                    word |= numpy.uint32(1) << numpy.uint32(j % 32)
            words[i, whole] = word


def unpack(rows: numpy.ndarray, k: int, dtype: numpy.dtype) -> numpy.ndarray:
    """Makes +1 and -1 of packed rows.

    Args:
        rows: uint32 (n, words), see :func:`pack`.
        k: Signs in a row.
        dtype: float32 or 64.

    Returns:
        (n, k), of that dtype.
    """
    x = numpy.empty((len(rows), k), dtype)
    _unpack(x.size, rows, x)
    return x


@threads.Kernel
def _unpack(rows, x):
    one = x.dtype.type(1)
    for i in numba.prange(len(x)):
        for j in range(x.shape[1]):
            word = rows[i, j // 32] >> numpy.uint32(j % 32)
            x[i, j] = one if word & numpy.uint32(1) else -one


class Columns:
    """Packed rows in the order that the product reads its second factor in.

    Args:
        rows: uint32 (n, words), see :func:`pack`; or words of another kind.

    Attributes:
        n (int): Rows.
        n_words (int): Words in a row.
        tiles (numpy.ndarray): uint32 (ceil(n / 64), words, 64): word for
            word 64 rows, the missing ones 0.
    """

    def __init__(self, rows: numpy.ndarray):
        self.n = len(rows)
        self.n_words = rows.shape[1]
        self.tiles = nontemporal.empty(
            (-(-self.n // _COLUMNS), self.n_words, _COLUMNS), numpy.uint32)
        _arrange(self.tiles.size, rows, self.tiles)


@threads.Kernel
def _arrange(rows, arranged):
    for tile in numba.prange(len(arranged)):
        first = tile * _COLUMNS
        n = min(_COLUMNS, len(rows) - first)
        for j in range(rows.shape[1]):
            for i in range(n):
                arranged[tile, j, i] = rows[first + i, j]
            for i in range(n, _COLUMNS):
                arranged[tile, j, i] = 0


def xnor_product(a: numpy.ndarray, b: numpy.ndarray | Columns,
                 k: int) -> numpy.ndarray:
    """Multiplies packed signs: ``a b^T``.

    ``y[i, j] = k - 2 popcount(a[i] xor b[j])``, which is the sum of ``k``
    products of +-1 (`XNOR-Net <https://arxiv.org/abs/1603.05279>`_, section
    3.2).  Exact for k < 2^24.

    Args:
        a: Packed rows, uint32 (m, words).
        b: Packed rows, uint32 (n, words), or :class:`Columns` of them for
            several products.
        k: Signs in a row.

    Returns:
        float32 (m, n).
    """
    if not isinstance(b, Columns):
        b = Columns(b)
    y = numpy.empty((len(a), b.n), numpy.float32)
    if y.size and b.n_words:
        work = y.size * b.n_words // 8
        _xnor_product(work, numpy.ascontiguousarray(a), b.tiles, k, y,
                      threads.n_threads(work))
    else:
        y[...] = 0
    return y


@threads.Kernel
def _xnor_product(a, b, k, y, n_parts):
    m, n_words = a.shape
    n = y.shape[1]
    n_blocks = -(-m // _ROWS)
    for part in numba.prange(n_parts):
        rows = numpy.empty((_ROWS, n_words), numpy.uint32)
        result = numpy.empty((_ROWS, _COLUMNS), numpy.float32)
        for j in range(len(b)):
            tile = b[j].ctypes.data
            width = min(_COLUMNS, n - j * _COLUMNS)
            for block in range(part * n_blocks // n_parts,
                               (part + 1) * n_blocks // n_parts):
                i = block * _ROWS
                height = min(_ROWS, m - i)
                if height == _ROWS:
                    x = a[i:].ctypes.data
                else:
                    rows[:height] = a[i:]
                    x = rows.ctypes.data
                if height == _ROWS and width == _COLUMNS:
                    tiles.xnor_tile(
                        x, 4 * n_words, tile, n_words, k,
                        y[i:, j * _COLUMNS:].ctypes.data, 4 * n)
                    continue
                tiles.xnor_tile(
                    x, 4 * n_words, tile, n_words, k,
                    result.ctypes.data, 4 * _COLUMNS)
                for r in range(height):
                    for c in range(width):
                        y[i + r, j * _COLUMNS + c] = result[r, c]
