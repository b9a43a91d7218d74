"""Linear layers of +-1 weights on CuPy arrays, by the tensor cores.

A packed net's weights are unpacked to a byte each, and so are the signs
between two layers: the tensor cores multiply bytes, exactly, and more of them
in a second than the rest of a GPU counts bits.
"""
import cupy
import numpy

from bnn.kernels import gpu_source

_STEP = 64  # bytes of a row that a kernel takes at a time


class _Tile(object):
    """The share of a block: see int8_product.cu."""

    def __init__(self, row_tiles, column_tiles, row_warps, column_warps):
        self.constants = {
            'ROW_TILES': row_tiles, 'COLUMN_TILES': column_tiles,
            'ROW_WARPS': row_warps, 'COLUMN_WARPS': column_warps}
        self.rows = 16 * row_tiles * row_warps
        self.columns = 8 * column_tiles * column_warps
        self.threads = 32 * row_warps * column_warps


_LARGE, _NARROW = _Tile(4, 4, 2, 4), _Tile(1, 2, 4, 1)
_NARROW_UP_TO = 64  # columns


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


def is_supported():
    """Returns whether the current GPU multiplies bytes as is needed here.

    That is NVIDIA's Ampere and later, of compute capability 8.0.
    """
    return int(cupy.cuda.Device().compute_capability) >= 80


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
    """Linear layers of signs, one kernel each.

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
        if max(W.shape[1] for W in weights) * 255 >= 1 << 31:
            raise ValueError('too many inputs for sums in int32')
        self._layers = [_Layer(W, limits, of_pixels and not i)
                        for i, (W, limits) in enumerate(zip(
                            weights, thresholds, strict=True))]
        if thresholds[-1] is None:
            self._layers[-1].scale = cupy.asarray(scale, numpy.float32)
            self._layers[-1].offset = cupy.asarray(offset, numpy.float32)
        self._of_pixels = of_pixels

    def __call__(self, x):
        """Computes the layers.

        Args:
            x (cupy.ndarray): uint8 pixels, or +1 and -1 of any dtype,
                (n, inputs).

        Returns:
            cupy.ndarray: float32 (n, outputs): floats, or +1 and -1.
        """
        k, n = self._layers[0].n_in, len(x)
        if not n:
            return cupy.empty((0, self._layers[-1].n_out), numpy.float32)
        x = self._aligned(x, k)
        for layer in self._layers:
            x = layer(x)
        if self._layers[-1].thresholds is not None:
            x = x[:, :self._layers[-1].n_out].astype(numpy.float32)
        return x

    def _aligned(self, x, k):
        """Returns rows of bytes that start at multiples of 16."""
        dtype = numpy.uint8 if self._of_pixels else numpy.int8
        if x.dtype == dtype and k % 16 == 0:
            x = cupy.ascontiguousarray(x)
            if x.data.ptr % 16 == 0:
                return x
        # What lies behind a row is multiplied by 0.
        rows = cupy.empty((len(x), -(-k // 16) * 16), dtype)
        rows[:, :k] = x
        return rows


class _Layer(object):

    def __init__(self, W, thresholds, is_unsigned):
        self.n_out, self.n_in = W.shape
        self._tile = _NARROW if self.n_out <= _NARROW_UP_TO else _LARGE
        n_columns = -(-self.n_out // self._tile.columns) * self._tile.columns
        self._steps = -(-self.n_in // _STEP)
        rows = numpy.zeros((n_columns, self._steps * _STEP), numpy.int8)
        rows[:self.n_out, :self.n_in] = W
        self._W = cupy.asarray(rows)
        self.thresholds = self.scale = self.offset = None
        if thresholds is not None:
            limits = numpy.zeros(n_columns, numpy.int32)
            limits[:self.n_out] = thresholds
            self.thresholds = cupy.asarray(limits)
        self._options = {'IS_UNSIGNED': int(is_unsigned),
                         'IS_FLOAT': int(thresholds is None),
                         **self._tile.constants}
        self._n_blocks = n_columns // self._tile.columns

    def __call__(self, x):
        if self.thresholds is None:
            pitch = self.n_out
            y = cupy.empty((len(x), pitch), numpy.float32)
        else:
            pitch = -(-self.n_out // 16) * 16
            y = cupy.empty((len(x), pitch), numpy.int8)
        kernel = gpu_source.kernel(
            'int8_product.cu', 'bnn_int8_product', **self._options)
        # Where there is none of them the kernel reads none.
        others = [self._W if v is None else v for v in (
            self.thresholds, self.scale, self.offset)]
        kernel((-(-len(x) // self._tile.rows), self._n_blocks),
               (self._tile.threads,),
               (x, self._W, *others, y, numpy.int64(len(x)),
                numpy.int32(self.n_out), numpy.int32(self._steps),
                numpy.int32(x.shape[1] // 16), numpy.int32(pitch)))
        return y
