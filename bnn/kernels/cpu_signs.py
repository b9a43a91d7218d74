"""Products of floats and packed signs, for NumPy arrays."""
import numpy

from bnn.kernels import amx
from bnn.kernels import cpu_bits
from bnn.kernels import cpu_tiles
from bnn.kernels import sign_matrices

# With fewer multiplications the BLAS is sooner done; see
# benchmarks/kernels.py.  Of signs by signs, and of floats by signs, where a
# block of 32 columns should not stay empty either.
MIN_PRODUCTS = 1 << 18
MIN_TILED = 1 << 22
MIN_TILED_COLUMNS = 32


class Signs(sign_matrices.Signs):

    """Signs of a NumPy array, packed where that is sooner done."""

    def __init__(self, x, is_binary=False):
        super().__init__(x, is_binary)
        self._bits = self._columns = None

    @property
    def array(self):
        # Of the bits, where there are some: the matrix may be another now.
        if self._array is None and self._bits is not None:
            self._array = cpu_bits.unpack(
                self._bits, self._x.shape[1], self._x.dtype)
        return super().array

    def apply(self, x):
        if isinstance(x, sign_matrices.Signs):
            if is_packed(x._x, self._x):
                y = cpu_bits.xnor_product(
                    x.bits, self.columns, self._x.shape[1])
                return y.astype(self._x.dtype, copy=False)
            x = x.array
        elif is_tiled(x, self._x, len(self._x)):
            return cpu_tiles.by_columns(x, self.columns)
        return x.dot(self.array.T)

    def apply_transposed(self, g):
        if is_tiled(g, self._x, self._x.shape[1]):
            return cpu_tiles.by_rows(g, self.bits, self._x.shape[1])
        return g.dot(self.array)

    @property
    def bits(self):
        """numpy.ndarray: Packed rows, see :func:`bnn.kernels.pack`."""
        if self._bits is None:
            # Of those of the first product: see array.
            self._bits = cpu_bits.pack(
                self._x if self._array is None else self._array)
        return self._bits

    @property
    def columns(self):
        """~bnn.kernels.cpu_bits.Columns: The same, arranged."""
        if self._columns is None:
            self._columns = cpu_bits.Columns(self.bits)
        return self._columns


def is_tiled(x, W, n_columns):
    """Tells whether a product of floats by signs is the matrix unit's."""
    return (amx.IS_AVAILABLE and len(x) * W.size >= MIN_TILED
            and n_columns >= MIN_TILED_COLUMNS
            and x.dtype == W.dtype == numpy.float32)


def is_packed(x, W):
    """Tells whether a product of signs is one of packed signs."""
    return (x.size * len(W) >= MIN_PRODUCTS and x.shape[1] < 1 << 24
            and x.dtype in (numpy.float32, numpy.float64))
