"""Convolution of signs, by XNOR and popcount.  NumPy arrays."""
from __future__ import annotations

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


def sign_convolution(
        x: numpy.ndarray, W: numpy.ndarray, scale: numpy.ndarray,
        b: numpy.ndarray, stride: tuple[int, int], pad: tuple[int, int],
        dilate: tuple[int, int]) -> numpy.ndarray | None:
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
        (batch, filters, h_out, w_out), of the dtype of ``x``; ``None`` if
        ``x`` has other elements.

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
    if not y.size:
        return y
    x = numpy.ascontiguousarray(x)
    first = abs(x.reshape(-1)[:_FIRST])
    value = first.max()
    if not ((first == value) | (first == 0)).all() or not value < numpy.inf:
        return None
    padded = operands.pad_size(x.shape[2:], pad)
    is_other = numpy.zeros(len(x), numpy.bool_)
    _convolve(
        y.size * rows.shape[1] // 8, x, value, rows, padded, pad,
        operands.offsets(padded, n_words, ksize, dilate),
        *operands.runs(operands.places(padded, size, stride)),
        scale * value, b, y.reshape(len(x), n_filters, -1), is_other)
    return None if is_other.any() else y


@threads.Kernel
def _convolve(x, value, rows, padded, pad, terms, starts, to, source, factor,
              b, y, is_other):
    n_words = rows.shape[1]
    n_filters, n_places = y.shape[1:]
    size = -(-x.shape[1] // 32) * padded[0] * padded[1]
    for n in numba.prange(len(x)):
        # Whether each element is positive, and whether it is not 0
        words = numpy.zeros((2, size + float_tiles.RUN), numpy.uint32)
        panels = numpy.empty(
            (2, n_words * _COLUMNS + float_tiles.RUN), numpy.uint32)
        n_set = numpy.empty(_COLUMNS, numpy.int32)
        sums = numpy.empty((len(rows), _COLUMNS), numpy.float32)
        is_other[n] = _pack(x[n], value, padded, pad, words)
        for t in range(0 if is_other[n] else len(starts) - 1):
            for i in range(2):
                float_tiles.gather(
                    words[i].ctypes.data, terms.ctypes.data, n_words,
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
            first = t * _COLUMNS
            width = min(_COLUMNS, n_places - first)
            for r in range(n_filters):
                for p in range(width):
                    y[n, r, first + p] = sums[r, p] * factor[r] + b[r]


@numba.njit(error_model='numpy')
def _pack(x, value, padded, pad, words):
    """Packs an image, 32 channels to a word.

    Returns:
        Whether an element is none of 0, ``value`` and ``-value``.
    """
    n_channels, height, width = x.shape
    zero, is_other = numpy.uint32(0), numpy.uint32(0)
    for c in range(n_channels):
        bit = numpy.uint32(1) << numpy.uint32(c % 32)
        for i in range(height):
            start = ((c // 32 * padded[0] + pad[0] + i) * padded[1] + pad[1])
            row = x[c, i]
            signs = words[0, start:start + width]
            masks = words[1, start:start + width]
            for j in range(width):
                size = abs(row[j])
                signs[j] |= bit if row[j] > 0 else zero
                masks[j] |= bit if size == value else zero
                is_other |= numpy.uint32((size != value) & (size != 0))
    return is_other != 0
