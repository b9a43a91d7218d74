"""Products with signs; stands for the file of the kernels branch."""
import numpy

from bnn import kernels
from bnn.kernels import weight_gradient  # noqa: F401


def is_signs(x):
    """Tells whether a NumPy array is +1 and -1 alone.

    Args:
        x (numpy.ndarray): Any shape, of a float dtype.

    Returns:
        bool: Whether it is; True for an empty array.
    """
    return bool((abs(x[:1]) == 1).all() and (abs(x) == 1).all())


class Signs:
    """The signs of a matrix, for several products.

    Args:
        W (array): (n, k).
    """

    def __init__(self, W):
        self._kind = type(kernels._kernels_of(W).Signs(W))
        self._signs = self._kind(W)

    @property
    def array(self):
        return self._signs.array

    def apply(self, x):
        return self._signs.apply(
            self._kind(x, True)
            if isinstance(x, numpy.ndarray) and is_signs(x) else x)

    def apply_transposed(self, g):
        return self._signs.apply_transposed(g)
