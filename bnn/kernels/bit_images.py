"""Packed images, and convolutions from bits to bits.  NumPy arrays.

An image is uint32 (h, w, words): bit ``c % 32`` of word ``c // 32`` is the
sign of channel ``c``.
"""
import numba
import numpy

from bnn.kernels import bits
from bnn.kernels import threads
from bnn.kernels import threshold_tiles
from bnn.kernels import tiles

_ROWS, _COLUMNS = tiles.ROWS, tiles.COLUMNS


def pack_channels(x: numpy.ndarray, limits: numpy.ndarray) -> numpy.ndarray:
    """Packs which values reach the limit of their channel.

    Args:
        x: float32 or 64 (n, channels, h, w).
        limits: (channels,), of that dtype.

    Returns:
        uint32 (n, h, w, words).
    """
    n, channels, height, width = x.shape
    words = numpy.zeros(
        (n, -(-channels // 32), height * width), numpy.uint32)
    _pack(x.size, x.reshape(n, channels, -1), limits, words)
    return numpy.ascontiguousarray(numpy.moveaxis(words, 1, 2)).reshape(
        n, height, width, -1)


@threads.Kernel
def _pack(x, limits, words):
    for n in numba.prange(len(x)):
        for c in range(x.shape[1]):
            limit = limits[c]
            bit = numpy.uint32(1) << numpy.uint32(c % 32)
            row = words[n, c // 32]
            for i in range(x.shape[2]):
                row[i] |= bit if x[n, c, i] >= limit else numpy.uint32(0)


def unpack_channels(words: numpy.ndarray, n_channels: int) -> numpy.ndarray:
    """Makes +1 and -1 of packed images.

    Args:
        words: uint32 (n, h, w, words), see :func:`pack_channels`; or (n,
            words) of vectors.
        n_channels: Channels of an image.

    Returns:
        float32 (n, channels, h, w) or (n, channels).
    """
    signs = bits.unpack(
        words.reshape(-1, words.shape[-1]), n_channels, numpy.float32)
    return numpy.ascontiguousarray(numpy.moveaxis(
        signs.reshape(*words.shape[:-1], n_channels), -1, 1))


class BitConvolution:
    """A convolution of packed images, arranged for this machine.

    Args:
        signs: int16 (filters, channels, kh, kw), +1 and -1.
        stride: Step of the filter, (h, w).
        pad: Width of the padding, (h, w).
        dilate: Distance of the filter's elements, (h, w).
        pad_value: What is outside, 0 or 1.
        size: Size of an image, (h, w).
        thresholds: int32 (filters,): the least sum that gives a bit 1.
        scale: float32 (filters,), in place of thresholds: the result is
            ``sum scale + offset``.
        offset: As ``scale``.

    Attributes:
        n_filters (int): Filters.
        size (tuple of int): Size of the result, (h_out, w_out).
    """

    def __init__(self, signs: numpy.ndarray, stride: tuple[int, int],
                 pad: tuple[int, int], dilate: tuple[int, int],
                 pad_value: int, size: tuple[int, int],
                 thresholds: numpy.ndarray | None = None,
                 scale: numpy.ndarray | None = None,
                 offset: numpy.ndarray | None = None):
        n_filters, n_channels, kh, kw = signs.shape
        filters = bits.pack(numpy.ascontiguousarray(
            signs.transpose(0, 2, 3, 1), numpy.float32))
        self._n_channels = n_channels
        self._fill = pad_value
        self._geometry = kh, kw, *stride, *pad, *dilate
        self._k = k = n_channels * kh * kw
        self._tiles = bits.Columns(filters.reshape(n_filters, -1)).tiles
        self.n_filters = n_filters
        self.size = tuple(
            (n + 2 * p - d * (f - 1) - 1) // s + 1 for n, f, s, p, d in zip(
                size, (kh, kw), stride, pad, dilate, strict=True))
        # How much k - 2 differ exceeds the sum, where bits 0 of the padding
        # count as -1.  It is the same for all places of a class.
        classes, more = numpy.zeros(self.size, numpy.int64), numpy.zeros(
            (1, n_filters), numpy.int64)
        if any(pad) and pad_value == 0:
            classes, more = _of_padding(signs, size, self.size, stride, pad,
                                        dilate)
        order = numpy.argsort(classes, axis=None, kind='stable')
        self._places = numpy.stack(
            [order // self.size[1], order % self.size[1],
             classes.reshape(-1)[order]], axis=1)
        n_columns = len(self._tiles) * _COLUMNS
        self._is_float = thresholds is None
        self._limits = numpy.full((len(more), n_columns), -1, numpy.int32)
        self._more = numpy.zeros((len(more), n_columns), numpy.float32)
        self._scale, self._offset = numpy.zeros(
            (2, n_columns), numpy.float32)
        if self._is_float:
            self._more[:, :n_filters] = more
            self._scale[:n_filters] = scale
            self._offset[:n_filters] = offset
        else:
            limit = (k + more - thresholds.astype(numpy.int64)) // 2
            self._limits[:, :n_filters] = numpy.clip(limit, -1, k)

    def __call__(self, x: numpy.ndarray) -> numpy.ndarray:
        """Convolves.

        Args:
            x: uint32 (n, h, w, words), C-contiguous.

        Returns:
            uint32 (n, h_out, w_out, words), or float32 (n, filters, h_out,
            w_out).
        """
        n, height, width, n_words = x.shape
        pad = self._geometry[4:6]
        if any(pad):
            padded = numpy.empty(
                (n, height + 2 * pad[0], width + 2 * pad[1], n_words),
                numpy.uint32)
            padded[...] = bits.pack(numpy.full(
                self._n_channels, self._fill - .5, numpy.float32))
            padded[:, pad[0]:pad[0] + height, pad[1]:pad[1] + width] = x
            x = padded
        floats = numpy.empty(
            (n if self._is_float else 0, self.n_filters, *self.size),
            numpy.float32)
        words = numpy.empty(
            (0 if self._is_float else n, *self.size,
             2 * len(self._tiles)), numpy.uint32)
        if n:
            _convolve(n * len(self._places) * self._tiles.size // 32, x,
                      self._tiles, self._geometry, self._k, self._places,
                      self._limits, self._more, self._scale, self._offset,
                      self._is_float, floats, words)
        if self._is_float:
            return floats
        used = -(-self.n_filters // 32)
        return words if used == words.shape[3] else (
            numpy.ascontiguousarray(words[..., :used]))


@threads.Kernel
def _convolve(x, all_tiles, geometry, k, places, limits, more, scale, offset,
              is_float, floats, words):
    for n in numba.prange(len(x)):
        _image(x, n, all_tiles, geometry, k, places, limits, more, scale,
               offset, is_float, floats, words)


# Apart from the loop over threads, so that it is compiled once for both kinds
@numba.njit(error_model='numpy')
def _image(x, n, all_tiles, geometry, k, places, limits, more, scale, offset,
           is_float, floats, words):
    kh, kw, stride_h, stride_w, _, _, dilate_h, dilate_w = geometry
    n_channel_words = x.shape[3]
    n_words = all_tiles.shape[1]
    n_places = len(places)
    rows = numpy.empty((_ROWS, n_words), numpy.uint32)
    result = numpy.empty((_ROWS, 2), numpy.uint32)
    dots = numpy.empty((_ROWS, _COLUMNS), numpy.float32)
    for first in range(0, n_places, _ROWS):
        m = min(_ROWS, n_places - first)
        for r in range(m):
            top = places[first + r, 0] * stride_h
            left = places[first + r, 1] * stride_w
            word = 0
            for i in range(kh):
                for j in range(kw):
                    for c in range(n_channel_words):
                        rows[r, word] = x[n, top + i * dilate_h,
                                          left + j * dilate_w, c]
                        word += 1
        same = m == _ROWS and (
            places[first, 2] == places[first + m - 1, 2])
        for t in range(len(all_tiles)):
            tile = all_tiles[t].ctypes.data
            column = t * _COLUMNS
            if is_float:
                tiles.xnor_tile(
                    rows.ctypes.data, 4 * n_words, tile, n_words, k,
                    dots.ctypes.data, 4 * _COLUMNS)
                for r in range(m):
                    i, j, kind = places[first + r]
                    for c in range(min(
                            _COLUMNS, floats.shape[1] - column)):
                        floats[n, column + c, i, j] = (
                            dots[r, c] + more[kind, column + c]
                        ) * scale[column + c] + offset[column + c]
                continue
            if same:
                threshold_tiles.threshold_tile(
                    rows.ctypes.data, 4 * n_words, tile, n_words,
                    limits[places[first, 2], column:].ctypes.data,
                    result.ctypes.data, 8)
            else:
                for r in range(m):
                    threshold_tiles.threshold_row(
                        rows[r].ctypes.data, 4 * n_words, tile, n_words,
                        limits[places[first + r, 2],
                               column:].ctypes.data,
                        result[r].ctypes.data, 8)
            for r in range(m):
                i, j, _ = places[first + r]
                words[n, i, j, 2 * t] = result[r, 0]
                words[n, i, j, 2 * t + 1] = result[r, 1]
    # Keeps them until here, where only their addresses were known
    rows[0, 0] = 0
    dots[0, 0] = 0


def _of_padding(signs, size, out_size, stride, pad, dilate):
    """Groups places by the part of the filter that is outside the image.

    Returns:
        The class of each place, int64 (h_out, w_out), and for each class and
        filter what the bits 0 outside have subtracted, (classes, filters).
    """
    sums = signs.astype(numpy.int64).sum(axis=1)  # (filters, kh, kw)
    patterns, numbers = [], []
    for n, out, k, s, p, d in zip(size, out_size, signs.shape[2:], stride,
                                  pad, dilate, strict=True):
        at = numpy.arange(out)[:, None] * s - p + numpy.arange(k) * d
        pattern, number = numpy.unique(
            (at >= 0) & (at < n), axis=0, return_inverse=True)
        patterns.append(pattern.astype(numpy.int64))
        numbers.append(number.reshape(-1))
    inside = numpy.einsum('fij,yi,xj->yxf', sums, *patterns)
    outside = sums.sum(axis=(1, 2)) - inside
    classes = numbers[0][:, None] * len(patterns[1]) + numbers[1]
    return classes, outside.reshape(-1, len(signs))
