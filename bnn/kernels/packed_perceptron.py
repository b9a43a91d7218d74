"""Packed perceptrons: all layers in one compiled call.  NumPy arrays."""
import numba
import numpy

from bnn.kernels import bits
from bnn.kernels import byte_products
from bnn.kernels import byte_tiles
from bnn.kernels import nontemporal
from bnn.kernels import threads
from bnn.kernels import threshold_tiles
from bnn.kernels import tiles

_ROWS, _COLUMNS = tiles.ROWS, tiles.COLUMNS
_PLANES = threshold_tiles.PLANES
# Images that go through all layers together, so that their bits stay in the
# cache, and that the weights are loaded once for
_BLOCK = 96
# Weights of int8 are eight times as large as their bits.  With fewer images
# they take longer to load than they save: in a layer of pixels, which has
# eight products of bits for one of bytes, and in a layer of bits.
_MIN_OF_PIXELS, _MIN_OF_BITS = 4, 32
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
        of_signs: Whether the first layer takes the signs of pixels: 1 from
            128 up.
    """

    def __init__(self, weights: list[numpy.ndarray],
                 limits: list[numpy.ndarray | None], sizes: list[int],
                 scale: numpy.ndarray | None = None,
                 offset: numpy.ndarray | None = None,
                 of_pixels: bool = False, of_signs: bool = False):
        self.n_out = len(weights[-1])
        self.is_float = scale is not None
        self.of_pixels = of_pixels
        self.of_signs = of_signs
        # About, in elements of a kernel that memory bounds
        self._work = (_PLANES * of_pixels * weights[0].size
                      + sum(rows.size for rows in weights)) // 32
        words, all_limits, layers = [], [], []
        octets, least = [], []
        for i, (rows, limit, size) in enumerate(
                zip(weights, limits, sizes, strict=True)):
            columns = bits.Columns(rows).tiles
            first = sum(map(len, all_limits))
            all_limits.append(_padded(limit, len(columns), -1))
            is_first = of_pixels and i == 0
            n_byte_words, byte_columns, enough = 0, _NO_BITS, limit
            if limit is not None and (
                    byte_products.IS_AVAILABLE if is_first
                    else byte_products.IS_AHEAD_OF_POPCOUNT):
                W = bits.unpack(rows, 32 * rows.shape[1], numpy.float32)
                if is_first:
                    W = W[:, :size]
                byte_columns = byte_products.arrange(
                    W.astype(numpy.int8)).tiles
                n_byte_words = byte_columns.shape[1]
                # Products of +1 less those that differ
                enough = (255 if is_first else 1) * (W > 0).sum(
                    axis=1, dtype=numpy.int64) - limit
            least.append(_padded(
                enough, len(columns), numpy.iinfo(numpy.int32).max))
            layers.append((
                columns.shape[1], len(columns), size,
                sum(w.size for w in words), first, n_byte_words,
                sum(w.size for w in octets)))
            words.append(columns)
            octets.append(byte_columns)
        self._layers = numpy.array(layers, numpy.int64)
        self._words = _joined(words)
        self._limits = numpy.concatenate(all_limits)
        self._byte_words = _joined(octets)
        self._least = numpy.concatenate(least)
        n = len(self._limits) if scale is None else layers[-1][1] * _COLUMNS
        self._scale, self._offset = (
            numpy.zeros(n, numpy.float32) for _ in range(2))
        if scale is not None:
            self._scale[:len(scale)] = scale
            self._offset[:len(offset)] = offset

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
        layers = self._layers.copy()
        if n < _MIN_OF_BITS:
            layers[self.of_pixels and n >= _MIN_OF_PIXELS:, 5] = 0
        _forward(work, x, self.of_pixels, self.of_signs, self._words,
                 self._limits, layers, self._byte_words, self._least,
                 self._scale, self._offset, self.is_float, y, y_bits,
                 min(threads.n_threads(work), -(-n // _ROWS)))
        return y if self.is_float else y_bits


def _padded(values, n_tiles, rest):
    padded = numpy.full(n_tiles * _COLUMNS, rest, numpy.int32)
    if values is not None:
        padded[:len(values)] = values
    return padded


def _joined(arrays):
    joined = nontemporal.empty(
        (sum(array.size for array in arrays),), numpy.uint32)
    return numpy.concatenate([array.reshape(-1) for array in arrays],
                             out=joined)


@numba.njit(error_model='numpy')
def _planes(x, row, octets, first, planes):
    """Makes packed rows of an image, of the bits ``first``... of a pixel."""
    byte_tiles.copy_row(x[row], octets)
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
                source + i * stride, stride, tile, n_words, limit,
                out + i * target_stride, target_stride)
            i += _ROWS
        while i < n:
            threshold_tiles.threshold_row(
                source + i * stride, stride, tile, n_words, limit,
                out + i * target_stride, target_stride)
            i += 1


@numba.njit(error_model='numpy')
def _byte_layer(source, n, words, n_words, n_tiles, least, sums, target,
                target_stride):
    byte_tiles.ready()
    for j in range(n_tiles):
        for i in range(0, n, byte_tiles.ROWS):
            byte_tiles.byte_tile(
                source + 4 * n_words * i, 4 * n_words,
                words + 4 * _COLUMNS * n_words * j, n_words, sums,
                4 * _COLUMNS)
            for r in range(min(byte_tiles.ROWS, n - i)):
                threshold_tiles.threshold_sums(
                    sums + 4 * _COLUMNS * r, least + 4 * _COLUMNS * j,
                    target + (i + r) * target_stride + _COLUMNS // 8 * j)
    byte_tiles.release()


@threads.Kernel
def _forward(x, of_pixels, of_signs, words, limits, layers, byte_words,
             least, scale, offset, is_float, y, y_bits, n_parts):
    n = len(x)
    n_blocks = -(-n // _ROWS)
    for part in numba.prange(n_parts):
        _some(x, of_pixels, of_signs, words, limits, layers, byte_words,
              least, scale, offset, is_float, y, y_bits,
              part * n_blocks // n_parts * _ROWS,
              min(n, (part + 1) * n_blocks // n_parts * _ROWS))


# Apart from the loop over threads, so that it is compiled once for both kinds
@numba.njit(error_model='numpy')
def _some(x, of_pixels, of_signs, words, limits, layers, byte_words, least,
          scale, offset, is_float, y, y_bits, start, end):
    n_layers = len(layers)
    width = 0
    longest = 0
    for i in range(n_layers):
        width = max(width, layers[i, 0], 2 * layers[i, 1])
        longest = max(longest, layers[i, 5])
    # Two buffers of bits, the operand and the result in turn
    n_rows = min(_BLOCK, end - start)
    n_rows += -n_rows % _ROWS
    buffers = numpy.empty((2, n_rows, 4 * width), numpy.uint8)
    stride = 4 * width
    octets = numpy.zeros(32 * layers[0, 0], numpy.uint8)
    planes = numpy.empty((_PLANES, layers[0, 0]), numpy.uint32)
    # Rows of bytes, and sums
    n_rows += -n_rows % byte_tiles.ROWS
    space = numpy.zeros(4 * longest * n_rows + 64, numpy.uint8)
    rows = (space.ctypes.data + 63) // 64 * 64
    sums = numpy.empty((byte_tiles.ROWS, _COLUMNS), numpy.int32)
    dots = numpy.empty((_ROWS, _COLUMNS), numpy.float32)
    all_words = words.ctypes.data
    all_limits = limits.ctypes.data
    for first in range(start, end, _BLOCK):
        m = min(_BLOCK, end - first)
        side = 0
        if of_signs:
            for i in range(m):
                _planes(x, first + i, octets, _PLANES - 1, buffers[
                    0, i:i + 1, :4 * layers[0, 0]].view(numpy.uint32))
        elif not of_pixels:
            for i in range(m):
                buffers[0, i, :x.shape[1]] = x[first + i]
        for layer in range(n_layers - is_float):
            n_words, n_tiles = layers[layer, 0], layers[layer, 1]
            here = buffers[side].ctypes.data
            there = buffers[1 - side].ctypes.data
            side = 1 - side
            limit = all_limits + 4 * layers[layer, 4]
            tiles_of_bits = all_words + 4 * layers[layer, 3]
            n_byte_words = layers[layer, 5]
            if n_byte_words:
                shift = rows - space.ctypes.data
                for i in range(m):
                    row = space[shift + 4 * n_byte_words * i:
                                shift + 4 * n_byte_words * (i + 1)]
                    if of_pixels and layer == 0:
                        byte_tiles.copy_row(x[first + i], row)
                    else:
                        operand = buffers[
                            1 - side, i, :4 * n_words].view(numpy.uint32)
                        for w in range(n_words):
                            byte_tiles.bytes_of_32(
                                operand[w], row[32 * w:].ctypes.data)
                        row[32 * n_words:] = 0
                _byte_layer(
                    rows, m, byte_words.ctypes.data + 4 * layers[layer, 6],
                    n_byte_words, n_tiles,
                    least.ctypes.data + 4 * layers[layer, 4],
                    sums.ctypes.data, there, stride)
            elif of_pixels and layer == 0:
                for i in range(m):
                    _planes(x, first + i, octets, 0, planes)
                    for j in range(n_tiles):
                        threshold_tiles.planes_tile(
                            planes.ctypes.data, 4 * n_words,
                            tiles_of_bits + 4 * _COLUMNS * n_words * j,
                            n_words, limit + 4 * _COLUMNS * j,
                            there + i * stride + _COLUMNS // 8 * j)
            else:
                _one_layer(here, stride, m, tiles_of_bits, n_words, n_tiles,
                           limit, there, stride)
        if not is_float:
            for i in range(m):
                y_bits[first + i] = buffers[
                    side, i, :4 * y_bits.shape[1]].view(numpy.uint32)
            continue
        here = buffers[side].ctypes.data
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
    sums[0, 0] = 0
    space[0] = 0
