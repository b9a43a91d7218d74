"""Products of bytes on the tensor cores, of rows and of windows on images.

A packed net's weights are unpacked to a byte each, and so are the signs
between two layers: the tensor cores multiply bytes, exactly, and more of them
in a second than the rest of a GPU counts bits.
"""
import cupy
import numpy

from bnn.kernels import gpu_source

STEP = 64  # bytes of a row that a kernel takes at a time
PIECE = 16  # bytes that are read at once: rows and pixels start at multiples


class _Tile(object):
    """The share of a block: see int8_product.cu."""

    def __init__(self, row_tiles, column_tiles, row_warps, column_warps,
                 blocks):
        self.constants = {
            'ROW_TILES': row_tiles, 'COLUMN_TILES': column_tiles,
            'ROW_WARPS': row_warps, 'COLUMN_WARPS': column_warps,
            'BLOCKS': blocks}
        self.rows = 16 * row_tiles * row_warps
        self.columns = 8 * column_tiles * column_warps
        self.threads = 32 * row_warps * column_warps


_LARGE, _NARROW = _Tile(4, 4, 2, 4, 2), _Tile(1, 2, 4, 1, 4)
_OF_WINDOWS = _Tile(2, 4, 2, 4, 2)  # whose corners take registers
_NARROW_UP_TO = 64  # columns


def is_supported():
    """Returns whether the current GPU multiplies bytes as is needed here.

    That is NVIDIA's Ampere and later, of compute capability 8.0.
    """
    return int(cupy.cuda.Device().compute_capability) >= 80


def padded(n):
    """Returns the bytes that ``n`` take, up to a multiple of 16."""
    return -(-n // PIECE) * PIECE


class Layer(object):
    """A product with weights that stay.

    Args:
        W (numpy.ndarray): int8 (outputs, inputs).
        thresholds (numpy.ndarray or None): int32 (outputs,): a sum from there
            on gives +1, else -1.
        scale, offset (numpy.ndarray or None): Without thresholds, float32
            (outputs,): the result is ``sum * scale + offset``.
        is_unsigned (bool): Whether the operand is uint8, else int8.
        geometry (numpy.ndarray or None): Of a convolution, int32: the fields
            of the struct in int8_product.cu.

    Raises:
        ValueError: If sums could leave int32.
    """

    def __init__(self, W, thresholds, scale=None, offset=None,
                 is_unsigned=False, geometry=None):
        self.n_out, self.n_in = W.shape
        if abs(W.astype(numpy.int64)).sum(axis=1).max() * 255 >= 1 << 31:
            raise ValueError('too many inputs for sums in int32')
        self._tile = (_NARROW if self.n_out <= _NARROW_UP_TO else
                      _LARGE if geometry is None else _OF_WINDOWS)
        self._n_blocks = -(-self.n_out // self._tile.columns)
        n_columns = self._n_blocks * self._tile.columns
        self._steps = -(-self.n_in // STEP)
        rows = numpy.zeros((n_columns, self._steps * STEP), numpy.int8)
        rows[:self.n_out, :self.n_in] = W
        self._W = cupy.asarray(rows)
        self.gives_signs = thresholds is not None
        if self.gives_signs:
            limits = numpy.zeros(n_columns, numpy.int32)
            limits[:self.n_out] = thresholds
            self._finish = cupy.asarray(limits), self._W, self._W
        else:  # the kernel reads no thresholds
            self._finish = self._W, *(
                cupy.asarray(v, numpy.float32) for v in (scale, offset))
        self._geometry = self._W if geometry is None else cupy.asarray(
            geometry)
        self._kernel = gpu_source.kernel(
            'int8_product.cu', 'bnn_int8_product',
            IS_UNSIGNED=int(is_unsigned), IS_FLOAT=int(not self.gives_signs),
            IS_CONVOLUTION=int(geometry is not None), **self._tile.constants)

    def __call__(self, x, m):
        """Computes the product.

        Args:
            x (cupy.ndarray): Bytes, (m, pitch), or (n, h, w, pitch); C order,
                from a multiple of 16 on, pitch a multiple of 16.
            m (int): Rows of the result.

        Returns:
            cupy.ndarray: float32 (m, outputs), or int8 signs (m,
            padded(outputs)), where what is behind them is any number.
        """
        pitch = padded(self.n_out) if self.gives_signs else self.n_out
        y = cupy.empty(
            (m, pitch), numpy.int8 if self.gives_signs else numpy.float32)
        if m:
            self._kernel(
                (-(-m // self._tile.rows), self._n_blocks),
                (self._tile.threads,),
                (x, self._W, *self._finish, self._geometry, y,
                 numpy.int64(m), numpy.int32(self.n_out),
                 numpy.int32(self._steps),
                 numpy.int32(x.shape[-1] // PIECE), numpy.int32(pitch)))
        return y
