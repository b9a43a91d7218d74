"""Packed perceptrons: all layers in one compiled call.  NumPy arrays."""
import numba
import numpy

from bnn.kernels import bits
from bnn.kernels import threads
from bnn.kernels import threshold_tiles
from bnn.kernels import tiles

_ROWS, _COLUMNS = tiles.ROWS, tiles.COLUMNS
_PLANES = threshold_tiles.PLANES
# Images that go through all layers together, so that their bits stay in the
# cache
_BLOCK = 24
# With fewer images the int8 weights of the first layer, eight times as large
# as its bits, take longer to load than they save.
_MIN_DOT = 4
_NO_FLOATS = numpy.empty((0, 0), numpy.float32)
_NO_BITS = numpy.empty((0, 0), numpy.uint32)


class Perceptron:

    """Linear layers on bits, arranged for this machine.

    Output ``j`` of layer ``l`` is 1 where its operand and ``weights[l][j]``
    differ in at most ``limits[l][j]`` places.  The last layer may give
    ``(k - 2 differ) scale + offset`` instead.

    Args:
        weights: Packed rows of each layer, uint32 (n_out, words).
        limits: int32 (n_out,) for each layer; ``None`` for the last one if it
            gives floats.
        sizes: Operands of each layer.
        scale: float32 (n_out,) of the last layer, or ``None``.
        offset: As ``scale``.
        of_pixels: Whether the first layer takes pixels: a differing bit ``j``
            of one then counts ``2^j``.
        dot: For that layer, int8 weights (n_out, n_in) and the int32 sums
            (n_out,) from which on an output is 1.
        of_signs: Whether the first layer takes the signs of pixels: 1 from
            128 up.
    """

    def __init__(self, weights: list[numpy.ndarray],
                 limits: list[numpy.ndarray | None], sizes: list[int],
                 scale: numpy.ndarray | None = None,
                 offset: numpy.ndarray | None = None,
                 of_pixels: bool = False,
                 dot: tuple[numpy.ndarray, numpy.ndarray] | None = None,
                 of_signs: bool = False):
        self.n_out = len(weights[-1])
        self.n_in = sizes[0]
        self.is_float = scale is not None
        self.of_pixels = of_pixels
        self.of_signs = of_signs
        # About, in elements of a kernel that memory bounds
        self._work = (_PLANES * of_pixels * weights[0].size
                      + sum(rows.size for rows in weights)) // 32
        words, all_limits, layers = [], [], []
        for rows, limit, size in zip(weights, limits, sizes, strict=True):
            columns = bits.Columns(rows).tiles
            layers.append((columns.shape[1], len(columns), size,
                           sum(w.size for w in words),
                           sum(map(len, all_limits))))
            words.append(columns.reshape(-1))
            if limit is None:
                limit = numpy.zeros(len(rows), numpy.int32)
            all_limits.append(_padded(limit, len(columns), -1))
        self._layers = numpy.array(layers, numpy.int64)
        self._words = numpy.concatenate(words)
        self._limits = numpy.concatenate(all_limits)
        n = len(self._limits) if scale is None else layers[-1][1] * _COLUMNS
        self._scale, self._offset = (
            numpy.zeros(n, numpy.float32) for _ in range(2))
        if scale is not None:
            self._scale[:len(scale)] = scale
            self._offset[:len(offset)] = offset
        self._dot_words = numpy.empty(0, numpy.uint32)
        self._dot_limits = numpy.empty(0, numpy.int32)
        if dot is not None and threshold_tiles.HAS_DOT:
            W, least = dot
            rows = numpy.zeros((len(W), -(-W.shape[1] // 4) * 4), numpy.int8)
            rows[:, :W.shape[1]] = W
            self._dot_words = bits.Columns(
                rows.view(numpy.uint32)).tiles.reshape(-1)
            self._dot_limits = _padded(
                least, layers[0][1], numpy.iinfo(numpy.int32).max)

    def __call__(self, x: numpy.ndarray) -> numpy.ndarray:
        """Computes all layers.

        Args:
            x: uint8 pixels (n, n_in), or packed rows, uint32 (n, words);
                C-contiguous.

        Returns:
            float32 (n, n_out), or packed rows.
        """
        n = len(x)
        # One type, so that one kernel is compiled
        x = x.view(numpy.uint8)
        y = _NO_FLOATS
        y_bits = _NO_BITS
        if self.is_float:
            y = numpy.empty((n, self.n_out), numpy.float32)
        else:
            y_bits = numpy.empty((n, -(-self.n_out // 32)), numpy.uint32)
        work = n * self._work
        _forward(work, x, self.of_pixels, self.of_signs,
                 n >= _MIN_DOT and len(self._dot_words) > 0, self._words,
                 self._limits, self._layers, self._dot_words,
                 self._dot_limits, self._scale, self._offset, self.is_float,
                 y, y_bits,
                 min(threads.n_threads(work), -(-n // _ROWS)))
        return y if self.is_float else y_bits


def _padded(values, n_tiles, rest):
    padded = numpy.full(n_tiles * _COLUMNS, rest, numpy.int32)
    padded[:len(values)] = values
    return padded


@numba.njit(error_model='numpy')
def _planes(x, row, octets, first, planes):
    """Makes packed rows of an image, of the bits ``first``... of a pixel."""
    octets[:x.shape[1]] = x[row]
    address = octets.ctypes.data
    for j in range(planes.shape[0]):
        for i in range(planes.shape[1]):
            planes[j, i] = threshold_tiles.plane_of_32(
                address + 32 * i, first + j)


@numba.njit(error_model='numpy')
def _one_layer(source, stride, n, words, n_words, n_tiles, limits, target,
               target_stride):
    for j in range(n_tiles):
        tile = words + 4 * _COLUMNS * n_words * j
        limit = limits + 4 * _COLUMNS * j
        out = target + _COLUMNS // 8 * j
        i = 0
        while i + _ROWS <= n:
            threshold_tiles.threshold_tile(
                source + i * stride, stride, tile, n_words, limit, 0,
                out + i * target_stride, target_stride)
            i += _ROWS
        while i < n:
            threshold_tiles.threshold_row(
                source + i * stride, stride, tile, n_words, limit, 0,
                out + i * target_stride, target_stride)
            i += 1


@threads.Kernel
def _forward(x, of_pixels, of_signs, use_dot, words, limits, layers,
             dot_words, dot_limits, scale, offset, is_float, y, y_bits,
             n_parts):
    n = len(x)
    n_blocks = -(-n // _ROWS)
    for part in numba.prange(n_parts):
        _some(x, of_pixels, of_signs, use_dot, words, limits, layers,
              dot_words, dot_limits, scale, offset, is_float, y, y_bits,
              part * n_blocks // n_parts * _ROWS,
              min(n, (part + 1) * n_blocks // n_parts * _ROWS))


# Apart from the loop over threads, so that it is compiled once for both kinds
@numba.njit(error_model='numpy')
def _some(x, of_pixels, of_signs, use_dot, words, limits, layers, dot_words,
          dot_limits, scale, offset, is_float, y, y_bits, start, end):
    n_layers = len(layers)
    width = 0
    for i in range(n_layers):
        width = max(width, layers[i, 0], 2 * layers[i, 1])
    # Two buffers of bits, the operand and the result in turn
    n_rows = min(_BLOCK, end - start)
    n_rows += -n_rows % _ROWS
    buffers = numpy.empty((2, n_rows, 4 * width), numpy.uint8)
    stride = 4 * width
    here = buffers[0].ctypes.data
    there = buffers[1].ctypes.data
    octets = numpy.zeros(32 * layers[0, 0], numpy.uint8)
    planes = numpy.empty((_PLANES, layers[0, 0]), numpy.uint32)
    pixels = numpy.zeros(
        (n_rows, -(-x.shape[1] // 4) * 4 if use_dot else 0), numpy.uint8)
    dots = numpy.empty((_ROWS, _COLUMNS), numpy.float32)
    all_words = words.ctypes.data
    all_limits = limits.ctypes.data
    for first in range(start, end, _BLOCK):
        m = min(_BLOCK, end - first)
        n_words = layers[0, 0]
        done = 0
        if of_signs:
            for i in range(m):
                _planes(x, first + i, octets, _PLANES - 1, buffers[
                    0, i:i + 1, :4 * n_words].view(numpy.uint32))
            here = buffers[0].ctypes.data
            there = buffers[1].ctypes.data
        elif not of_pixels:
            for i in range(m):
                buffers[0, i, :x.shape[1]] = x[first + i]
            here = buffers[0].ctypes.data
            there = buffers[1].ctypes.data
        elif use_dot:
            for i in range(m):
                pixels[i, :x.shape[1]] = x[first + i]
            for j in range(layers[0, 1]):
                for i in range(0, m, _ROWS):
                    threshold_tiles.pixels_tile(
                        pixels[i:].ctypes.data, pixels.shape[1],
                        dot_words.ctypes.data
                        + _COLUMNS * pixels.shape[1] * j,
                        pixels.shape[1] // 4,
                        dot_limits.ctypes.data + 4 * _COLUMNS * j,
                        buffers[0, i:].ctypes.data + _COLUMNS // 8 * j,
                        stride)
            done = 1
        else:
            for i in range(m):
                _planes(x, first + i, octets, 0, planes)
                for j in range(layers[0, 1]):
                    threshold_tiles.planes_tile(
                        planes.ctypes.data, 4 * n_words,
                        all_words + 4 * _COLUMNS * n_words * j, n_words,
                        all_limits + 4 * _COLUMNS * j,
                        buffers[0, i:].ctypes.data + _COLUMNS // 8 * j)
            done = 1
        if done:
            here = buffers[0].ctypes.data
            there = buffers[1].ctypes.data
        for layer in range(done, n_layers - is_float):
            n_words = layers[layer, 0]
            _one_layer(
                here, stride, m, all_words + 4 * layers[layer, 3],
                n_words, layers[layer, 1],
                all_limits + 4 * layers[layer, 4], there, stride)
            here, there = there, here
        side = int(here != buffers[0].ctypes.data)
        if not is_float:
            for i in range(m):
                y_bits[first + i] = buffers[
                    side, i, :4 * y_bits.shape[1]].view(numpy.uint32)
            continue
        n_words = layers[n_layers - 1, 0]
        for j in range(layers[n_layers - 1, 1]):
            column = j * _COLUMNS
            n_columns = min(_COLUMNS, y.shape[1] - column)
            for i in range(0, m, _ROWS):
                tiles.xnor_tile(
                    here + i * stride, stride,
                    all_words + 4 * layers[n_layers - 1, 3]
                    + 4 * _COLUMNS * n_words * j, n_words,
                    layers[n_layers - 1, 2], dots.ctypes.data,
                    4 * _COLUMNS)
                for r in range(min(_ROWS, m - i)):
                    for c in range(n_columns):
                        y[first + i + r, column + c] = (
                            dots[r, c] * scale[column + c]
                            + offset[column + c])
    # Keeps them until here, where only their addresses were known
    buffers[0, 0, 0] = 0
    planes[0, 0] = 0
    dots[0, 0] = 0
    pixels[0, :1] = 0
