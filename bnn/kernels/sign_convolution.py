"""Convolution of signs, by XNOR and popcount.  NumPy arrays."""
import numba
import numpy

from bnn.kernels import bits
from bnn.kernels import threads
from bnn.kernels import tiles

_ROWS, _COLUMNS = tiles.ROWS, tiles.COLUMNS


def sign_convolution(
        x: numpy.ndarray, W: numpy.ndarray, stride: tuple[int, int],
        pad: tuple[int, int], dilate: tuple[int, int]) -> numpy.ndarray:
    """Convolves +-1 with the signs of filters.

    Exact for less than 2^24 weights a filter.  The padding is 0: it adds
    nothing.

    Args:
        x: +1 and -1 alone (:func:`bnn.kernels.signs.is_signs`), (batch,
            channels, h, w), float32 or 64.
        W: Numbers whose signs count, (filters, channels, kh, kw), of the
            dtype of ``x``.
        stride: Step of the filter, (h, w).
        pad: Width of the padding, (h, w).
        dilate: Distance of the filter's elements, (h, w).

    Returns:
        (batch, filters, h_out, w_out), of the dtype of ``x``.

    Raises:
        TypeError: If ``W`` is not of a floating point dtype.
    """
    n_filters, n_channels, kh, kw = W.shape
    height, width = ((size + 2 * p - d * (k - 1) - 1) // s + 1
                     for size, k, s, p, d in zip(
                         x.shape[2:], (kh, kw), stride, pad, dilate,
                         strict=True))
    # A word has 32 channels of one pixel.
    filters = bits.pack(W.transpose(0, 2, 3, 1)).reshape(n_filters, -1)
    rows = numpy.zeros(
        (-(-n_filters // _ROWS) * _ROWS, filters.shape[1]), numpy.uint32)
    rows[:n_filters] = filters
    y = numpy.empty((len(x), n_filters, height, width), numpy.float32)
    if y.size:
        _convolve(
            y.size * rows.shape[1] // 8, numpy.ascontiguousarray(x), rows,
            (kh, kw), stride, pad, dilate, width,
            y.reshape(len(x), n_filters, height * width))
        if any(pad):
            y += _of_padding(W, x.shape[2:], (height, width), stride, pad,
                             dilate)
    return y.astype(x.dtype, copy=False)


@threads.Kernel
def _convolve(x, filters, ksize, stride, pad, dilate, width, y):
    n_images, n_channels, x_height, x_width = x.shape
    n_filters, n_pixels = y.shape[1:]
    n_words = filters.shape[1]
    kh, kw = ksize
    padded_width = x_width + 2 * pad[1]
    shape = (-(-n_channels // 32), x_height + 2 * pad[0], padded_width)
    for n in numba.prange(n_images):
        # Bit c % 32 of word c // 32 is the sign of channel c; 0 around.
        words = numpy.zeros(shape, numpy.uint32)
        for c in range(n_channels):
            bit = numpy.uint32(1) << numpy.uint32(c % 32)
            for i in range(x_height):
                row = words[c // 32, pad[0] + i, pad[1]:pad[1] + x_width]
                for j in range(x_width):
                    row[j] |= bit if x[n, c, i, j] >= 0 else numpy.uint32(0)
        words = words.reshape(shape[0], shape[1] * shape[2])
        patches = numpy.empty((n_words, _COLUMNS), numpy.uint32)
        corner = numpy.empty(_COLUMNS, numpy.intp)
        result = numpy.empty((_ROWS, _COLUMNS), numpy.float32)
        for first in range(0, n_pixels, _COLUMNS):
            n_columns = min(_COLUMNS, n_pixels - first)
            for p in range(_COLUMNS):
                i, j = divmod(min(first + p, n_pixels - 1), width)
                corner[p] = i * stride[0] * padded_width + j * stride[1]
            word = 0
            for i in range(kh):
                for j in range(kw):
                    offset = i * dilate[0] * padded_width + j * dilate[1]
                    for c in range(shape[0]):
                        for p in range(_COLUMNS):
                            patches[word, p] = words[c, corner[p] + offset]
                        word += 1
            for f in range(0, n_filters, _ROWS):
                is_whole = f + _ROWS <= n_filters and n_columns == _COLUMNS
                tiles.xnor_tile(
                    filters[f:].ctypes.data, 4 * n_words,
                    patches.ctypes.data, 4 * _COLUMNS, n_words,
                    n_channels * kh * kw,
                    y[n, f:, first:].ctypes.data if is_whole
                    else result.ctypes.data,
                    4 * n_pixels if is_whole else 4 * _COLUMNS)
                if not is_whole:
                    for r in range(min(_ROWS, n_filters - f)):
                        for p in range(n_columns):
                            y[n, f + r, first + p] = result[r, p]


def _of_padding(W, size, out_size, stride, pad, dilate):
    """Returns what the padding, whose bits 0 count as -1, has subtracted."""
    signs = numpy.where(W >= 0, 1, -1).sum(axis=1)  # (filters, kh, kw)
    outside = [
        (at < 0) | (at >= n) for at, n in (
            (numpy.arange(out)[:, None] * s - p + numpy.arange(k) * d, n)
            for n, out, k, s, p, d in zip(
                size, out_size, W.shape[2:], stride, pad, dilate,
                strict=True))]
    rows, columns = (o.astype(int) for o in outside)
    # The sum over the outside is that over all less that over the inside.
    return (signs.sum(axis=(1, 2))[:, None, None] - numpy.einsum(
        'fij,yi,xj->fyx', signs, 1 - rows, 1 - columns)).astype(
            numpy.float32)
