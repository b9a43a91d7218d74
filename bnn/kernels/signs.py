"""Products of a matrix with signs.  NumPy and CuPy arrays.

On the CPU the signs are packed, and a product of float32 goes the way that is
sooner done:

- signs by signs: by XNOR and popcount (:func:`bnn.kernels.bits.xnor_product`);
- numbers by signs, from tables of their sums
  (:mod:`bnn.kernels.sign_products`), or with the precision ``'bfloat16'`` on
  the processor's unit for such numbers (:mod:`bnn.kernels.products`);
- few numbers, other dtypes, and everything on a GPU: by the BLAS.

Products of signs by signs are exact for less than 2^24 terms, so that the
way makes no difference.
"""
from __future__ import annotations

import typing

import numba
import numpy

from bnn.kernels import bits
from bnn.kernels import elementwise
from bnn.kernels import products
from bnn.kernels import sign_products
from bnn.kernels import threads

if typing.TYPE_CHECKING:
    from bnn.kernels.elementwise import Array

# With fewer multiplications by signs the BLAS is sooner done.
# benchmarks/kernels.py measures it for signs by signs.
MIN_PRODUCTS = 1 << 18

# With fewer terms a sum from tables takes longer than one by the BLAS.
_MIN_TERMS = 64

# How many numbers is_signs checks between two looks at what it has found
_BLOCK = 2048


def is_signs(x: numpy.ndarray) -> bool:
    """Tells whether an array is +1 and -1 alone.

    It stops soon after the first other value.

    Args:
        x: NumPy array of any shape and float dtype.

    Returns:
        Whether each element is +1 or -1; ``True`` for an empty array.
    """
    if x.dtype not in (numpy.float32, numpy.float64):
        return bool((abs(x) == 1).all())
    x = numpy.ascontiguousarray(x).reshape(-1)
    # Most that are none show it at once.
    for some in x[:_BLOCK], x[_BLOCK:]:
        if some.size and _has_others(
                some.size, some, threads.n_threads(some.size)):
            return False
    return True


@threads.Kernel
def _has_others(x, n_parts):
    found = numpy.zeros(n_parts, numpy.bool_)
    for part in numba.prange(n_parts):
        found[part] = _part_has_others(x[part * x.size // n_parts:
                                         (part + 1) * x.size // n_parts])
    return found.any()


@numba.njit(error_model='numpy')
def _part_has_others(x):
    for first in range(0, x.size, _BLOCK):
        some = x[first:first + _BLOCK]
        # The largest of 0 and 1 is found in vectors.
        is_other = numpy.uint32(0)
        for i in range(some.size):
            is_other = max(is_other, numpy.uint32(abs(some[i]) != 1))
        if is_other:
            return True
    return False


class Signs:
    """The signs of a matrix, for several products.

    Args:
        W: Numbers whose signs count, (n, k), any float dtype.  They must not
            change before the first product; changes after it have no effect.

    Raises:
        TypeError: If ``W`` is not of a floating point dtype.
    """

    def __init__(self, W: Array):
        if W.dtype.kind != 'f':
            raise TypeError(
                f'a floating point array is needed, not {W.dtype}')
        self._W = W
        self._array = self._rows = None

    @property
    def array(self) -> Array:
        """+1 and -1, (n, k), of the dtype of the matrix."""
        if self._array is None:
            if self._rows is None:
                self._array = elementwise.binarize(self._W)
            else:  # the matrix may have changed since
                self._array = bits.unpack(
                    self._rows, self._W.shape[1], self._W.dtype)
        return self._array

    def apply(self, x: Array) -> Array:
        """Multiplies rows by the signs: ``x sign(W)^T``.

        A NumPy array of float32 is checked for whether it is +1 and -1 alone
        (:func:`is_signs`); then signs are multiplied by signs.

        Args:
            x: (m, k), of the dtype of the matrix.

        Returns:
            (m, n), of that dtype.
        """
        if _is_packed(x, self._W):
            rows = self._packed_rows()
            if x.shape[1] < 1 << 24 and is_signs(x):
                return bits.xnor_product(bits.pack(x), rows, x.shape[1])
            return sign_products.multiply_by_transposed(x, rows)
        return x.dot(self.array.T)

    def apply_transposed(self, g: Array, precision: str = 'float32') -> Array:
        """Multiplies rows by the transposed signs: ``g sign(W)``.

        Args:
            g: (m, n), of the dtype of the matrix; any strides.
            precision: One of :data:`bnn.kernels.products.PRECISIONS`; see
                :func:`weight_gradient`.

        Returns:
            (m, k), of that dtype.
        """
        if _is_packed(g, self._W):
            return products.multiply_by_signs(
                g, self._packed_rows(), self._W.shape[1], precision)
        if _is_rounded(precision, g):
            g = products.round_to_bfloat16(g)
        return g.dot(self.array)

    def _packed_rows(self):
        if self._rows is None:
            # Of the signs, if there are some: the matrix may have changed.
            self._rows = bits.pack(
                self._W if self._array is None else self._array)
        return self._rows


def weight_gradient(gy: Array, x: Array, precision: str = 'float32'
                    ) -> Array:
    """Multiplies the gradient of an output by the input: ``gy^T x``.

    Args:
        gy: (m, n), any float dtype.
        x: (m, k), of that dtype.
        precision: With ``'bfloat16'`` NumPy arrays of float32 are rounded to
            8 bits, which signs are already; sums are of float32.  Others, and
            all with ``'float32'``, are multiplied as they are.

    Returns:
        (n, k), of that dtype.
    """
    if (products.has_tables(precision) and len(x) >= _MIN_TERMS
            and _is_packed(gy.T, x) and is_signs(x)):
        return products.multiply_by_signs(
            gy.T, bits.pack(x), x.shape[1], precision)
    if _is_rounded(precision, gy):
        return products.multiply_rounded(gy.T, x)
    return gy.T.dot(x)


def _is_packed(x, W):
    """Tells whether a product is one of packed signs."""
    return (isinstance(x, numpy.ndarray) and x.dtype == numpy.float32
            and len(x) * W.size >= MIN_PRODUCTS)


def _is_rounded(precision, g):
    return (precision == 'bfloat16' and isinstance(g, numpy.ndarray)
            and g.dtype == numpy.float32)
