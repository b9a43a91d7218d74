"""Convolution of signs, by XNOR and popcount.  NumPy arrays."""
from __future__ import annotations

import math

import numba
import numpy

from bnn.kernels import bits
from bnn.kernels import convolution_operands as operands
from bnn.kernels import float_tiles
from bnn.kernels import threads
from bnn.kernels import tiles

_ROWS, _COLUMNS = tiles.ROWS, tiles.COLUMNS
# Elements that are looked at before all are
_FIRST = 4096


class PackedImages:
    """Images of -c, 0 and +c, an element in two bits.

    Args:
        shape: (batch, channels, h, w).
        dtype: Of the images.
        value: c.
        pad: Width of the padding, (h, w); it is 0.

    Attributes:
        words (numpy.ndarray): uint32 (batch, 2, words of an image).  A word
            has a pixel of 32 channels: whether each is positive, and whether
            it is not 0.
        padded (tuple of int): Size of a padded plane, (h, w).
        has_zeros (bool): Whether an element, or the padding, may be 0.
    """

    def __init__(self, shape: tuple[int, ...], dtype: numpy.dtype,
                 value: float, pad: tuple[int, int]):
        self.shape = shape
        self.size = math.prod(shape)
        self.dtype = dtype
        self.value = value
        self.pad = pad
        self.padded = operands.pad_size(shape[2:], pad)
        self.has_zeros = True
        self.words = numpy.zeros((
            shape[0], 2, -(-shape[1] // 32) * math.prod(self.padded)
            + float_tiles.RUN), numpy.uint32)

    def unpack(self) -> numpy.ndarray:
        """Returns the images as they were."""
        planes = numpy.zeros((*self.shape[:2], *self.padded), self.dtype)
        for image, words in zip(planes, self.words, strict=True):
            for c, plane in enumerate(image):
                unpack_plane(words, c, self.value, plane.reshape(-1))
        (top, left), (height, width) = self.pad, self.shape[2:]
        return numpy.ascontiguousarray(
            planes[:, :, top:top + height, left:left + width])


@numba.njit(error_model='numpy')
def unpack_plane(words, c, value, plane):
    """Writes a channel of an image of :class:`PackedImages`.

    Args:
        words: uint32 (2, words of an image).
        c: The channel.
        value: What the signs are multiplied by.
        plane: Where it goes, (pixels,).
    """
    start, bit = c // 32 * plane.size, numpy.uint32(1) << numpy.uint32(c % 32)
    signs, is_set = words[0, start:], words[1, start:]
    zero = value - value
    for p in range(plane.size):
        element = value if signs[p] & bit else -value
        plane[p] = element if is_set[p] & bit else zero


def sign_convolution(
        x: numpy.ndarray, W: numpy.ndarray, scale: numpy.ndarray,
        b: numpy.ndarray, stride: tuple[int, int], pad: tuple[int, int],
        dilate: tuple[int, int],
) -> tuple[numpy.ndarray, PackedImages] | None:
    """Convolves signs with the signs of filters, if it is given signs.

    ``y = scale * (x * sign(W)) + b``.  Each element of ``x`` is -c, 0 or +c
    with one c, as dropout leaves of signs.  An element is two bits, its sign
    and whether it is 0; the padding is 0 as well.  The sum is exact for less
    than 2^24 weights a filter.

    Args:
        x: (batch, channels, h, w), float32 or 64.
        W: Numbers whose signs count, (filters, channels, kh, kw), of the
            dtype of ``x``.
        scale: (filters,), of that dtype.
        b: As ``scale``.
        stride: Step of the filter, (h, w).
        pad: Width of the padding, (h, w).
        dilate: Distance of the filter's elements, (h, w).

    Returns:
        (batch, filters, h_out, w_out), of the dtype of ``x``, and ``x`` in
        bits; ``None`` if ``x`` has other elements.

    Raises:
        TypeError: If ``W`` is not of a floating point dtype.
    """
    n_filters, n_channels, *ksize = W.shape
    size = operands.out_size(x.shape[2:], ksize, stride, pad, dilate)
    # A word has 32 channels of one pixel.
    filters = bits.pack(W.transpose(0, 2, 3, 1))
    n_words = filters.shape[3]
    rows = numpy.zeros((-(-n_filters // _ROWS) * _ROWS,
                        n_words * ksize[0] * ksize[1]), numpy.uint32)
    rows[:n_filters] = filters.transpose(0, 3, 1, 2).reshape(n_filters, -1)
    y = numpy.empty((len(x), n_filters, *size), x.dtype)
    x = numpy.ascontiguousarray(x)
    first = abs(x.reshape(-1)[:_FIRST])
    value = first.max(initial=0)
    if not ((first == value) | (first == 0)).all() or not value < numpy.inf:
        return None
    packed = PackedImages(x.shape, x.dtype, value, pad)
    has_others, has_zeros = numpy.zeros((2, len(x)), numpy.bool_)
    _convolve(
        y.size * rows.shape[1] // 8, x, value, rows, packed.padded, pad,
        operands.offsets(packed.padded, n_words, ksize, dilate),
        *operands.runs(operands.places(packed.padded, size, stride)),
        scale * value, b, packed.words,
        y.reshape(len(x), n_filters, math.prod(size)), has_others, has_zeros)
    packed.has_zeros = bool(max(pad) or has_zeros.any())
    return None if has_others.any() else (y, packed)


@threads.Kernel
def _convolve(x, value, rows, padded, pad, terms, starts, to, source, factor,
              b, words, y, has_others, has_zeros):
    n_words = rows.shape[1]
    n_filters, n_places = y.shape[1:]
    for n in numba.prange(len(x)):
        panels = numpy.empty(
            (2, n_words * _COLUMNS + float_tiles.RUN), numpy.uint32)
        n_set = numpy.empty(_COLUMNS, numpy.int32)
        sums = numpy.empty((len(rows), _COLUMNS), numpy.float32)
        has_others[n], has_zeros[n] = _pack(
            x[n], value, padded, pad, words[n])
        for t in range(0 if has_others[n] else len(starts) - 1):
            first = t * _COLUMNS
            width = min(_COLUMNS, n_places - first)
            float_tiles.fetch_rows(
                y[n, :, first:].ctypes.data, y.itemsize * n_places, n_filters,
                y.itemsize * width // 4)
            for i in range(2):
                float_tiles.gather(
                    words[n, i].ctypes.data, terms.ctypes.data, n_words,
                    source[starts[t]:].ctypes.data,
                    to[starts[t]:].ctypes.data, starts[t + 1] - starts[t],
                    panels[i].ctypes.data)
            tiles.count_columns(
                panels[1].ctypes.data, n_words, n_set.ctypes.data)
            for r in range(0, len(rows), _ROWS):
                tiles.masked_xnor_tile(
                    rows[r:].ctypes.data, 4 * n_words, panels[0].ctypes.data,
                    panels[1].ctypes.data, n_words, n_set.ctypes.data,
                    sums[r:].ctypes.data, 4 * _COLUMNS)
            for r in range(n_filters):
                for p in range(width):
                    y[n, r, first + p] = sums[r, p] * factor[r] + b[r]


@numba.njit(error_model='numpy')
def _pack(x, value, padded, pad, words):
    """Packs an image, 32 channels to a word.

    Returns:
        Whether an element is none of 0, ``value`` and ``-value``; and whether
        one is neither of the last two.
    """
    n_channels, height, width = x.shape
    if padded == (height, width):  # One row, of all pixels
        height, width = 1, height * width
    zero, has_others, has_zeros = numpy.zeros(3, numpy.uint32)
    for c in range(n_channels):
        bit = numpy.uint32(1) << numpy.uint32(c % 32)
        pixels = x[c].reshape(-1)
        for i in range(height):
            start = ((c // 32 * padded[0] + pad[0] + i) * padded[1] + pad[1])
            row = pixels[i * width:(i + 1) * width]
            signs = words[0, start:start + width]
            masks = words[1, start:start + width]
            for j in range(width):
                size = abs(row[j])
                signs[j] |= bit if row[j] > 0 else zero
                masks[j] |= bit if size == value else zero
                has_others |= numpy.uint32((size != value) & (size != 0))
                has_zeros |= numpy.uint32(size != value)
    return has_others != 0, has_zeros != 0
