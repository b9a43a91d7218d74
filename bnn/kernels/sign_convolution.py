"""Convolution of signs, by XNOR and popcount.  NumPy arrays."""
from __future__ import annotations

import math

import numba
import numpy

from bnn.kernels import bits
from bnn.kernels import convolution_operands as operands
from bnn.kernels import float_tiles
from bnn.kernels import nontemporal
from bnn.kernels import sign_images
from bnn.kernels import threads
from bnn.kernels import tiles

_ROWS, _COLUMNS = tiles.ROWS, tiles.COLUMNS


def sign_convolution(
        x: sign_images.PackedImages, W: numpy.ndarray, scale: numpy.ndarray,
        b: numpy.ndarray, stride: tuple[int, int], dilate: tuple[int, int],
) -> numpy.ndarray:
    """Convolves signs with the signs of filters.

    ``y = scale * (x * sign(W)) + b``.  The sum is exact for less than 2^24
    weights a filter.

    Args:
        x: Packed images, (batch, channels, h, w), with their padding.
        W: Numbers whose signs count, (filters, channels, kh, kw), of the
            dtype of ``x``.
        scale: (filters,), of that dtype.
        b: As ``scale``.
        stride: Step of the filter, (h, w).
        dilate: Distance of the filter's elements, (h, w).

    Returns:
        (batch, filters, h_out, w_out), of the dtype of ``x``.

    Raises:
        TypeError: If ``W`` is not of a floating point dtype.
    """
    n_filters, n_channels, *ksize = W.shape
    size = operands.out_size(x.shape[2:], ksize, stride, x.pad, dilate)
    # A word has 32 channels of one pixel.
    filters = bits.pack(W.transpose(0, 2, 3, 1))
    n_words = filters.shape[3]
    rows = numpy.zeros((-(-n_filters // _ROWS) * _ROWS,
                        n_words * ksize[0] * ksize[1]), numpy.uint32)
    rows[:n_filters] = filters.transpose(0, 3, 1, 2).reshape(n_filters, -1)
    y = nontemporal.empty((len(x.words), n_filters, *size), x.dtype)
    _convolve(
        y.size * rows.shape[1] // 8, x.words, x.has_zeros, rows,
        math.prod(W.shape[1:]),
        operands.offsets(x.padded, n_words, ksize, dilate),
        *operands.runs(operands.places(x.padded, size, stride)),
        scale * x.dtype.type(x.value), b,
        y.reshape(len(y), n_filters, math.prod(size)),
        nontemporal.is_streamed(y, math.gcd(math.prod(size), _COLUMNS)))
    return y


@threads.Kernel
def _convolve(words, has_zeros, rows, n_terms, terms, starts, to, source,
              factor, b, y, is_streamed):
    n_words = rows.shape[1]
    n_filters, n_places = y.shape[1:]
    for n in numba.prange(len(y)):
        panels = numpy.empty(
            (2, n_words * _COLUMNS + float_tiles.RUN), numpy.uint32)
        n_set = numpy.empty(_COLUMNS, numpy.int32)
        sums = numpy.empty((len(rows), _COLUMNS), numpy.float32)
        row = numpy.empty(_COLUMNS, y.dtype)
        for t in range(len(starts) - 1):
            first = t * _COLUMNS
            width = min(_COLUMNS, n_places - first)
            if not is_streamed:
                float_tiles.fetch_rows(
                    y[n, :, first:].ctypes.data, y.itemsize * n_places,
                    n_filters, y.itemsize * width // 4)
            for i in range(2 if has_zeros else 1):
                float_tiles.gather(
                    words[n, i].ctypes.data, terms.ctypes.data, n_words,
                    source[starts[t]:].ctypes.data,
                    to[starts[t]:].ctypes.data, starts[t + 1] - starts[t],
                    panels[i].ctypes.data)
            if has_zeros:
                tiles.count_columns(
                    panels[1].ctypes.data, n_words, n_set.ctypes.data)
            for r in range(0, len(rows), _ROWS):
                if has_zeros:
                    tiles.masked_xnor_tile(
                        rows[r:].ctypes.data, 4 * n_words,
                        panels[0].ctypes.data, panels[1].ctypes.data, n_words,
                        n_set.ctypes.data, sums[r:].ctypes.data, 4 * _COLUMNS)
                else:
                    tiles.xnor_tile(
                        rows[r:].ctypes.data, 4 * n_words,
                        panels[0].ctypes.data, n_words, n_terms,
                        sums[r:].ctypes.data, 4 * _COLUMNS)
            at = y[n, :, first:].ctypes.data
            for r in range(n_filters):
                if is_streamed:
                    for p in range(width):
                        row[p] = sums[r, p] * factor[r] + b[r]
                    nontemporal.copy(row.ctypes.data, at + r * y.strides[1],
                                     y.itemsize * width)
                else:
                    for p in range(width):
                        y[n, r, first + p] = sums[r, p] * factor[r] + b[r]
        nontemporal.finish()
