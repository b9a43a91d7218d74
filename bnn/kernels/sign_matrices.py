"""A matrix of signs that takes part in several products."""


class Signs(object):

    """Signs of a matrix; :func:`bnn.kernels.signs` makes them.

    Here for any library of arrays, by its matrix product.

    Args:
        x (array): (n, k), floats.
        is_binary (bool): Whether they are +1 and -1 already.
    """

    def __init__(self, x, is_binary=False):
        self._x = x
        self._array = x if is_binary else None

    @property
    def array(self):
        """array: +1 and -1, of the shape and dtype of the matrix."""
        if self._array is None:
            self._array = self._binarize(self._x)
        return self._array

    def apply(self, x):
        """Multiplies rows by it: ``x S^T``.

        Args:
            x (array or Signs): (m, k), of the dtype of the matrix.

        Returns:
            array: (m, n), of that dtype.
        """
        if isinstance(x, Signs):
            x = x.array
        return x.dot(self.array.T)

    def apply_transposed(self, g):
        """Multiplies rows by its transpose: ``g S``.

        Args:
            g (array): (m, n), of the dtype of the matrix; any strides.

        Returns:
            array: (m, k), of that dtype.
        """
        return g.dot(self.array)
