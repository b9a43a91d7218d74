r"""Gradient of the images of a convolution, by products that are added up.

The transposed product of a convolution: each weight times the gradient at
each output place is added to the pixel that they met at.  In the notation of
:mod:`bnn.kernels.convolution`,

.. math::

    \mathrm{image}[p] = \sum_{u_k + v_q = p} \sum_f W_{f, k} \, G_{f, q}

with the weights :math:`k`, the output places :math:`q` and the filters
:math:`f`.  64 places are multiplied by all weights, and the products are
added to a padded image that stays in the cache.  No product is one with a
zero of a padding, or of the gaps of a stride.
"""
from __future__ import annotations

import math

import numba
import numpy

from bnn.kernels import convolution_operands as operands
from bnn.kernels import float_tiles
from bnn.kernels import threads

_COLUMNS, _SHORT = float_tiles.COLUMNS, float_tiles.SHORT
# Rows of each unit whose sums the first cache holds, whole blocks; or the
# second, where a table is made for all of them
_ROWS = 96, 96, 96, 480


def input_gradient(gy: numpy.ndarray, W: numpy.ndarray,
                   stride: tuple[int, int], pad: tuple[int, int],
                   dilate: tuple[int, int], size: tuple[int, int],
                   scale: numpy.ndarray | None, precision: str,
                   ) -> numpy.ndarray:
    """Computes what :func:`bnn.kernels.convolution.input_gradient` does.

    Args:
        gy, stride, pad, dilate, size, precision: As there.
        W: As there; its signs count where there is a scale.
        scale: What the gradient of each filter is multiplied by before it is
            rounded, (filters,), or ``None``.

    Returns:
        float32 (batch, channels, h, w).
    """
    n_filters, n_channels, *ksize = W.shape
    if not gy.size:
        return numpy.zeros((len(gy), n_channels, *size), numpy.float32)
    gx = numpy.empty((len(gy), n_channels, *size), numpy.float32)
    # One channel after the other: sums of the same channel, one pixel
    # further, would wait for each other.
    unit = operands.unit_for(precision, scale is not None)
    rows = operands.make_rows(
        W.transpose(2, 3, 1, 0).reshape(-1, n_filters, 1, 1), precision, unit,
        scale is not None)
    # In a row of an image, pixels a stride apart are neighbours, and so are
    # those of neighbouring places.
    height, width = operands.pad_size(size, pad)
    phase = -(-width // stride[1])
    padded = height, stride[1] * phase

    def column(x):
        return x % stride[1] * phase + x // stride[1]

    n_plane = math.prod(padded)
    terms = (numpy.arange(ksize[0])[:, None] * dilate[0] * padded[1]
             + column(numpy.arange(ksize[1]) * dilate[1])).reshape(-1, 1)
    terms = (terms + numpy.arange(n_channels) * n_plane).reshape(-1)
    columns = operands.places(padded, gy.shape[2:], (stride[0], 1))
    work = len(gy) * columns.size * len(rows) * n_filters // 8
    n_image = n_channels * n_plane
    group = operands.choose_group(
        len(gy), columns.size, 4 * n_image, threads.n_threads(work))
    columns = (numpy.arange(group)[:, None] * n_image + columns).reshape(-1)
    starts, sources, targets = operands.runs(columns, _SHORT)
    lengths = numpy.diff(
        numpy.repeat(numpy.arange(len(starts) - 1), numpy.diff(starts))
        * _COLUMNS + sources, append=columns.size)
    masks = -(numpy.arange(_SHORT) < lengths[:, None]).astype(numpy.int32)
    if scale is None:
        scale = numpy.ones(n_filters, numpy.float32)
    _multiply(
        work, numpy.ascontiguousarray(gy).reshape(len(gy), n_filters, -1),
        rows, padded, pad[0], column(pad[1] + numpy.arange(size[1])),
        stride[1], n_image, terms, starts, sources, targets, masks, group,
        unit, precision == 'bfloat16', scale, gx)
    return gx


@threads.Kernel
def _multiply(gy, rows, padded, top, pixels, step, n_image, terms, starts,
              sources, targets, masks, group, unit, is_rounded, scale, gx):
    n_words = rows.shape[1] * float_tiles.PER_WORD[unit]
    n_together = _ROWS[unit]
    for part in numba.prange(-(-len(gy) // group)):
        start = part * group
        n_images = min(group, len(gy) - start)
        images = numpy.zeros(group * n_image + _SHORT, numpy.float32)
        panel = float_tiles.make_panel(n_words)
        # A row of eight may go beyond the last sum.
        sums = numpy.empty((n_together + 1, _COLUMNS), numpy.float32)
        n_columns = n_images * gy.shape[2]
        for t in range(-(-n_columns // _COLUMNS)):
            first = t * _COLUMNS
            n_there = min(_COLUMNS, n_columns - first)
            _fill(gy, start, first, n_there, unit, is_rounded, scale, panel)
            for r in range(0, len(terms), n_together):
                float_tiles.fill(numpy.float32(0), sums.reshape(-1))
                float_tiles.multiply(
                    unit, rows[r:].ctypes.data, rows.strides[0],
                    min(n_together, len(rows) - r), panel.ctypes.data, n_words,
                    n_there, sums.ctypes.data, 4 * _COLUMNS)
                float_tiles.scatter(
                    sums.ctypes.data, terms[r:].ctypes.data,
                    min(n_together, len(terms) - r),
                    sources[starts[t]:].ctypes.data,
                    targets[starts[t]:].ctypes.data,
                    masks[starts[t]:].ctypes.data,
                    starts[t + 1] - starts[t], images.ctypes.data)
        for n in range(n_images):
            _cut(images[n * n_image:(n + 1) * n_image], padded, top, pixels,
                 step, gx[start + n])


@numba.njit(error_model='numpy')
def _cut(image, padded, top, pixels, step, gx):
    """Copies the rows of an image without what is around them."""
    n_channels, height, width = gx.shape
    out = gx.reshape(-1)
    for c in range(n_channels):
        for i in range(height):
            row = image[(c * padded[0] + top + i) * padded[1]:]
            to = out[(c * height + i) * width:][:width]
            if step == 1 and width:  # a loop that uses vectors
                some = row[pixels[0]:]
                for j in range(width):
                    to[j] = some[j]
            else:
                for j in range(width):
                    to[j] = row[pixels[j]]


@numba.njit(error_model='numpy')
def _fill(gy, start, first, n_columns, unit, is_rounded, scale, panel):
    """Fills a panel with the scaled gradient of some places of the images."""
    n_places = gy.shape[2]
    done = 0
    while done < n_columns:
        n, place = divmod(first + done, n_places)
        last = min(n_places, place + n_columns - done)
        if float_tiles.IS_PAIRED[unit]:
            _pair_filters(gy[start + n], place, last, scale,
                          panel[done:].view(numpy.uint32))
        else:
            _copy_filters(gy[start + n], place, last, is_rounded, scale,
                          panel[done:])
        done += last - place


@numba.njit(error_model='numpy')
def _copy_filters(gy, place, last, is_rounded, scale, panel):
    for f in range(len(gy)):
        words = panel[f * _COLUMNS:(f + 1) * _COLUMNS]
        float_tiles.copy(gy[f, place:last], is_rounded, scale[f], words)


@numba.njit(error_model='numpy')
def _pair_filters(gy, place, last, scale, panel):
    """Makes words of two filters; the last one of an odd number has 0."""
    n_whole = len(gy) // 2
    for f in range(n_whole):
        low, high = gy[2 * f, place:last], gy[2 * f + 1, place:last]
        words = panel[f * _COLUMNS:(f + 1) * _COLUMNS]
        for j in range(low.size):
            words[j] = float_tiles.bfloat16(scale[2 * f] * low[j]) | (
                float_tiles.bfloat16(scale[2 * f + 1] * high[j])
                << numpy.uint32(16))
    for f in range(2 * n_whole, len(gy)):
        for j in range(last - place):
            panel[n_whole * _COLUMNS + j] = float_tiles.bfloat16(
                scale[f] * gy[f, place + j])
