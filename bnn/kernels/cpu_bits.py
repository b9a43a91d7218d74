"""Packed signs on NumPy arrays; documented in :mod:`bnn.kernels`."""
import numba
import numpy

from bnn.kernels import cpu_threads
from bnn.kernels import tiles

_ROWS, _COLUMNS = tiles.ROWS, tiles.COLUMNS


def pack(x):
    n = x.shape[-1] if x.ndim else 1
    bits = numpy.empty((*x.shape[:-1], -(-n // 32)), numpy.uint32)
    if not bits.size:
        return bits
    rows = bits.reshape(-1, bits.shape[-1])
    if x.dtype == numpy.float32 and x.dtype.isnative:
        _pack(x.size, numpy.ascontiguousarray(x).reshape(len(rows), n), rows)
    else:
        octets = numpy.packbits(
            (x >= 0).reshape(len(rows), n), axis=1, bitorder='little')
        rows[...] = 0
        rows.view('u1')[:, :octets.shape[1]] = octets
    return bits


@cpu_threads.Kernel
def _pack(x, bits):
    whole = x.shape[1] // 32
    first, stride = x.ctypes.data, x.strides[0]
    for i in numba.prange(len(x)):
        start = first + i * stride
        for j in range(whole):
            bits[i, j] = tiles.signs_of_32(start + 128 * j)
        if whole < bits.shape[1]:
            word = numpy.uint32(0)
            for j in range(32 * whole, x.shape[1]):
                if x[i, j] >= 0:
                    word |= numpy.uint32(1) << numpy.uint32(j % 32)
            bits[i, whole] = word


def unpack(bits, k, dtype):
    """Makes +1 and -1 of packed rows.

    Args:
        bits (numpy.ndarray): See :func:`bnn.kernels.pack`, (n, words).
        k (int): Signs in a row.
        dtype (dtype): float32 or 64.

    Returns:
        numpy.ndarray: (n, k).
    """
    x = numpy.empty((len(bits), k), dtype)
    _unpack(x.size, bits, x)
    return x


@cpu_threads.Kernel
def _unpack(bits, x):
    one = x.dtype.type(1)
    for i in numba.prange(len(x)):
        for j in range(x.shape[1]):
            word = bits[i, j // 32] >> numpy.uint32(j % 32)
            x[i, j] = one if word & numpy.uint32(1) else -one


class Columns(object):

    """Packed rows, arranged as the product wants its second factor."""

    def __init__(self, bits):
        self.n = len(bits)
        self.n_words = bits.shape[1]
        self.tiles = numpy.empty(
            (-(-self.n // _COLUMNS), self.n_words, _COLUMNS), numpy.uint32)
        _arrange(self.tiles.size, bits, self.tiles)


@cpu_threads.Kernel
def _arrange(bits, tiles):
    for tile in numba.prange(len(tiles)):
        first = tile * _COLUMNS
        n = min(_COLUMNS, len(bits) - first)
        for j in range(bits.shape[1]):
            for i in range(n):
                tiles[tile, j, i] = bits[first + i, j]
            for i in range(n, _COLUMNS):
                tiles[tile, j, i] = 0


def xnor_product(a, b, k):
    if not isinstance(b, Columns):
        b = Columns(b)
    y = numpy.empty((len(a), b.n), numpy.float32)
    if y.size and b.n_words:
        work = y.size * b.n_words // 8
        _xnor_product(work, numpy.ascontiguousarray(a), b.tiles, k, y,
                      cpu_threads.n_threads(work))
    else:
        y[...] = 0
    return y


@cpu_threads.Kernel
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
                        x, 4 * n_words, tile, 4 * _COLUMNS, n_words, k,
                        y[i:, j * _COLUMNS:].ctypes.data, 4 * n)
                    continue
                tiles.xnor_tile(
                    x, 4 * n_words, tile, 4 * _COLUMNS, n_words, k,
                    result.ctypes.data, 4 * _COLUMNS)
                for r in range(height):
                    for c in range(width):
                        y[i + r, j * _COLUMNS + c] = result[r, c]
