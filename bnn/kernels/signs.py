"""Products with signs; stands for the file of the kernels branch."""
import numpy

from bnn import kernels
from bnn.kernels import weight_gradient  # noqa: F401


def is_signs(x):
    """Tells whether an array is +1 and -1 alone.

    Args:
        x (array): Any shape.

    Returns:
        bool: Whether it is; False for what is no NumPy array of float32 or
        float64.
    """
    return (isinstance(x, numpy.ndarray)
            and x.dtype in (numpy.float32, numpy.float64)
            and bool((abs(x[:1]) == 1).all() and (abs(x) == 1).all()))


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
        return self._signs.apply(self._kind(x, True) if is_signs(x) else x)

    def apply_transposed(self, g):
        return self._signs.apply_transposed(g)
