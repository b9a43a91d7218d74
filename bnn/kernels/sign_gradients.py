r"""Gradient of the filters of a convolution of signs.  NumPy, float32.

.. math::

    \mathrm{gW}_{f, c, k} = \sum_{n, q}
    \mathrm{image}_{n, c}[u_k + v_q] \, \mathrm{gy}_{n, f, q}

with the weights :math:`k` of a channel :math:`c` and the output places
:math:`q`.  The images are signs, so four neighbouring places are a pattern,
and their sum is looked up, see :mod:`bnn.kernels.sign_tables`.  The patterns
of a plane are made once: each weight reads them from its own place on.
"""
from __future__ import annotations

import numba
import numpy

from bnn.kernels import convolution_operands as operands
from bnn.kernels import float_tiles
from bnn.kernels import sign_tables
from bnn.kernels import threads

_TERMS, _COLUMNS = sign_tables.TERMS, sign_tables.COLUMNS
_GROUPS = sign_tables.GROUPS


def filter_gradient(x, gy: numpy.ndarray, stride: tuple[int, int],
                    dilate: tuple[int, int], ksize: tuple[int, int],
                    is_rounded: bool) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Computes what :func:`bnn.kernels.convolution.filter_gradient` does.

    Args:
        x (~bnn.kernels.sign_images.PackedImages): The images.
        gy, stride, dilate, ksize: As there.
        is_rounded: Whether to round ``gy`` to bfloat16 first.

    Returns:
        float32 (filters, channels, kh, kw) and (filters,).
    """
    n_filters, n_channels, size = gy.shape[1], x.shape[1], gy.shape[2:]
    n_patterns = sign_tables.ZEROS if x.has_zeros else sign_tables.SIGNS
    # A row of places is filled up to whole patterns.
    groups = operands.places(
        x.padded, (size[0], -(-size[1] // _TERMS)),
        (stride[0], _TERMS * stride[1]))
    weights = operands.places(x.padded, ksize, dilate)
    # The patterns of the images of a group follow one another.
    n_together = max(1, min(len(gy), _GROUPS // max(1, groups.size)))
    n_image = n_channels * x.padded[0] * x.padded[1]
    groups = (numpy.arange(n_together)[:, None] * n_image + groups).reshape(-1)
    n_parts = threads.n_threads(x.size)
    sums = numpy.zeros(
        (n_parts, -(-n_filters // _COLUMNS), len(weights), n_channels,
         _COLUMNS), numpy.float32)
    gb = numpy.zeros((n_parts, n_filters))
    if gy.size and x.size:
        gy, width = numpy.ascontiguousarray(gy), size[1]
        if width % _TERMS == 0:  # The rows of an image are one.
            width *= size[0]
        _filter_gradient(
            x.size, x.words, n_channels, x.padded,
            gy.reshape(len(gy), n_filters, -1), width, stride[1], groups,
            n_together, weights, n_patterns, is_rounded, sums, gb)
    gW = sums[0]
    for other in sums[1:]:
        gW += other
    gW = gW.transpose(0, 3, 2, 1).reshape(-1, n_channels, *ksize)[:n_filters]
    return (numpy.ascontiguousarray(gW),
            gb.sum(axis=0).astype(numpy.float32))


@threads.Kernel
def _filter_gradient(words, n_channels, padded, gy, width, step, groups,
                     n_together, weights, n_patterns, is_rounded, sums, gb):
    n_filters = gy.shape[1]
    size = padded[0] * padded[1]
    n_groups = len(groups) // n_together
    for part in numba.prange(len(sums)):
        patterns = numpy.empty(n_together * n_channels * size, numpy.uint8)
        digits = numpy.zeros(size + (_TERMS - 1) * step, numpy.uint8)
        # Rows of a page would fall into one set of the cache.
        rows = numpy.zeros((_COLUMNS, float_tiles.whole(
            len(groups) * _TERMS, float_tiles.RUN) + float_tiles.RUN),
            numpy.float32)
        panel = float_tiles.make_panel(_GROUPS * _TERMS)
        table = float_tiles.make_panel(
            _GROUPS * n_patterns * _COLUMNS // float_tiles.COLUMNS)
        last = (part + 1) * len(gy) // len(sums)
        for n in range(part * len(gy) // len(sums), last, n_together):
            n_images = min(n_together, last - n)
            for g in range(n_images):
                operands.add_up(gy[n + g], gb[part])
                for c in range(n_channels):
                    _write_patterns(
                        words[n + g], c, size, step, n_patterns, digits,
                        patterns[(g * n_channels + c) * size:])
            for block in range(sums.shape[1]):
                f = block * _COLUMNS
                for g in range(n_images):
                    operands.copy_places(
                        gy[n + g, f:f + _COLUMNS], width, is_rounded, rows,
                        g * n_groups * _TERMS)
                rows[n_filters - f:] = 0
                for first in range(0, n_images * n_groups, _GROUPS):
                    n_there = min(_GROUPS, n_images * n_groups - first)
                    _transpose(rows, first * _TERMS, n_there * _TERMS, panel)
                    sign_tables.fill(
                        n_patterns, panel.ctypes.data, 4 * _COLUMNS, n_there,
                        table.ctypes.data)
                    for k in range(len(weights)):
                        sign_tables.look_up(
                            n_patterns, patterns[weights[k]:].ctypes.data,
                            size, n_channels, groups[first:].ctypes.data,
                            n_there, table.ctypes.data,
                            sums[part, block, k].ctypes.data, 4 * _COLUMNS)


@numba.njit(error_model='numpy')
def _write_patterns(words, c, size, step, n_patterns, digits, patterns):
    """Writes the patterns of a channel of an image, for every pixel.

    Args:
        words: Of :class:`~bnn.kernels.sign_images.PackedImages`.
        c: The channel.
        size: Pixels.
        step: From a place to the next, in pixels.
        n_patterns: See :mod:`bnn.kernels.sign_tables`.
        digits: Space for those of the pixels; zeros follow.
        patterns: Where they go; of four pixels, a step apart.
    """
    start, bit = c // 32 * size, numpy.uint32(c % 32)
    one = numpy.uint32(1)
    is_positive, is_set = words[0, start:], words[1, start:]
    if n_patterns == sign_tables.SIGNS:
        for p in range(size):
            digits[p] = is_positive[p] >> bit & one
        base = numpy.uint8(2)
    else:
        for p in range(size):
            digits[p] = (is_positive[p] >> bit & one) * numpy.uint32(2) + (
                ~is_set[p] >> bit & one)
        base = numpy.uint8(3)
    second, third, fourth = digits[step:], digits[2 * step:], digits[3 * step:]
    for p in range(size):
        patterns[p] = digits[p] + base * (second[p] + base * (
            third[p] + base * fourth[p]))


@numba.njit(error_model='numpy')
def _transpose(rows, first, n_terms, panel):
    """Fills a panel with some terms of 32 filters, runs of terms."""
    run = float_tiles.RUN
    for i in range(0, n_terms, run):
        for j in range(0, _COLUMNS, run):
            float_tiles.transpose(
                rows[j:, first + i:].ctypes.data, rows.strides[0],
                panel[i * _COLUMNS + j:].ctypes.data, 4 * _COLUMNS)
