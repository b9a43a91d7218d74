"""Linear layers of signs on CuPy arrays, one kernel each."""
import cupy
import numpy

from bnn.kernels import gpu_int8

_argmax = cupy.ElementwiseKernel(
    'raw float32 scores, int64 n', 'int64 best',
    """best = 0;
       float largest = scores[i * n];
       for (ptrdiff_t j = 1; j < n; ++j) {
           const float score = scores[i * n + j];
           if (score > largest || (score != score && largest == largest)) {
               largest = score;
               best = j;
           }
       }""",
    'bnn_argmax')


def argmax(scores):
    """Returns where rows have their largest value, the first of equal ones.

    NaN counts as the largest, as in NumPy.

    Args:
        scores (cupy.ndarray): float32 (n, classes), one class at least.

    Returns:
        cupy.ndarray: int64 (n,).
    """
    scores = cupy.ascontiguousarray(scores)
    return _argmax(scores, scores.shape[1],
                   cupy.empty(len(scores), numpy.int64))


class Perceptron(object):
    """Linear layers whose operands are bytes.

    Args:
        weights (list of numpy.ndarray): +1 and -1, int8 (outputs, inputs).
        thresholds (list): int32 (outputs,): a sum from there on gives +1;
            or None for the last layer, which gives floats then.
        scale, offset (numpy.ndarray or None): float32 (outputs,) of the
            floats, ``sum * scale + offset``.
        of_pixels (bool): Whether the operand is uint8, else +1 and -1.

    Raises:
        ValueError: If sums could leave int32.
    """

    def __init__(self, weights, thresholds, scale=None, offset=None,
                 of_pixels=False):
        self._layers = [
            gpu_int8.Layer(W, limits, scale, offset, of_pixels and not i)
            for i, (W, limits) in enumerate(zip(
                weights, thresholds, strict=True))]
        self._dtype = numpy.uint8 if of_pixels else numpy.int8

    def __call__(self, x):
        """Computes the layers.

        Args:
            x (cupy.ndarray): uint8 pixels, or +1 and -1 of any dtype,
                (n, inputs).

        Returns:
            cupy.ndarray: float32 (n, outputs): floats, or +1 and -1.
        """
        n, last = len(x), self._layers[-1]
        x = self._aligned(x, self._layers[0].n_in)
        for layer in self._layers:
            x = layer(x, n)
        if last.gives_signs:
            x = x[:, :last.n_out].astype(numpy.float32)
        return x

    def _aligned(self, x, k):
        """Returns rows of bytes that start at multiples of 16."""
        if x.dtype == self._dtype and gpu_int8.padded(k) == k:
            x = cupy.ascontiguousarray(x)
            if x.data.ptr % gpu_int8.PIECE == 0:
                return x
        # What lies behind a row is multiplied by 0.
        rows = cupy.empty((len(x), gpu_int8.padded(k)), self._dtype)
        rows[:, :k] = x
        return rows
