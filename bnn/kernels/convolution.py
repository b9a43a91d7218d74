r"""Convolutions and their gradients, without im2col.  NumPy, float32.

They are products of a matrix of rows by one whose elements are gathered from
an image:

.. math::

    Y_{r, q} = \sum_k A_{r, k} \, \mathrm{image}[u_k + v_q]

=======================  ===============  ==============  ================
product                  rows :math:`A`   term :math:`k`  column :math:`q`
=======================  ===============  ==============  ================
:func:`convolve`         filters          weight          output place
:func:`input_gradient`   filters, turned  weight          input place
:func:`filter_gradient`  output gradient  output place    weight
=======================  ===============  ==============  ================

An image is padded once, in the cache, and small ones side by side: the output
or input places of a group of images follow one another, as columns or as
terms.  64 columns of at most :data:`_TERMS` terms are gathered into a panel
(:func:`bnn.kernels.float_tiles.gather`) and multiplied by all rows.  The
matrix of im2col, kh kw times as large as the images, is never in memory.

With the precision ``'bfloat16'`` the operands are rounded to 8 bits first;
the products are exact and the sums of float32, as with ``'float32'``.  Two
neighbouring terms are then one word where the processor has a unit for such
pairs, see :mod:`bnn.kernels.float_tiles`.
"""
from __future__ import annotations

import math

import numba
import numpy

from bnn.kernels import convolution_operands as operands
from bnn.kernels import float_tiles
from bnn.kernels import nontemporal
from bnn.kernels import products
from bnn.kernels import scattered_products
from bnn.kernels import sign_gradients
from bnn.kernels import sign_images
from bnn.kernels import threads

_COLUMNS, _RUN = float_tiles.COLUMNS, float_tiles.RUN
# Words of a panel, which the second cache holds together with the rows
_TERMS = 512
# Scattered products take up to half as long again each, where filters are few.
_MOST_PRODUCTS = 1.25


def convolve(x: numpy.ndarray, W: numpy.ndarray, stride: tuple[int, int],
             pad: tuple[int, int], dilate: tuple[int, int],
             b: numpy.ndarray | None = None) -> numpy.ndarray:
    """Convolves images with filters.

    A sum of ``k`` terms is off by at most ``k`` 2^-23 times the sum of the
    sizes of its terms.

    Args:
        x: Images, float32 (batch, channels, h, w).
        W: Filters, float32 (filters, channels, kh, kw), which fit into the
            padded images.
        stride: Step of the filter, (h, w).
        pad: Width of the padding, (h, w); it is 0.
        dilate: Distance of the filter's elements, (h, w).
        b: Bias, float32 (filters,).

    Returns:
        float32 (batch, filters, h_out, w_out).
    """
    return _product(x, W, pad, stride, dilate, b)


def input_gradient(gy: numpy.ndarray, W: numpy.ndarray,
                   stride: tuple[int, int], pad: tuple[int, int],
                   dilate: tuple[int, int], size: tuple[int, int],
                   scale: numpy.ndarray | None = None,
                   precision: str = 'float32') -> numpy.ndarray:
    """Computes the gradient of the images of :func:`convolve`.

    It is a convolution of ``gy``, padded, by the filters turned by 180
    degrees.  Where many of its products would be with zeros, because of a
    stride or of small images without padding,
    :func:`bnn.kernels.scattered_products.input_gradient` has fewer.  For signs
    it needs one table of sums where this way needs one for each weight.

    Args:
        gy: Gradient of the result, float32 (batch, filters, h_out, w_out).
        W, stride, pad, dilate: As of :func:`convolve`.
        size: Of the images, (h, w).
        scale: Scale of each filter, (filters,), where ``W`` is signs times
            it.  The signs are multiplied by ``scale gy`` then, which is
            sooner done, and is rounded where ``W`` would be.
        precision: One of :data:`bnn.kernels.products.PRECISIONS`.

    Returns:
        float32 (batch, channels, h, w).
    """
    reach = (d * (k - 1) for d, k in zip(dilate, W.shape[2:], strict=True))
    rest = tuple(r - p for r, p in zip(reach, pad, strict=True))
    has_tables = scale is not None and products.has_tables(precision)
    if stride != (1, 1) or min(rest) < 0 or (
            has_tables and math.prod(W.shape[2:]) > 1) or (
            math.prod(size) > _MOST_PRODUCTS * math.prod(gy.shape[2:])):
        return scattered_products.input_gradient(
            gy, W, stride, pad, dilate, size, scale, precision)
    return _product(gy, W[:, :, ::-1, ::-1].transpose(1, 0, 2, 3), rest,
                    stride, dilate, None, precision, scale)


def filter_gradient(x: numpy.ndarray | sign_images.PackedImages,
                    gy: numpy.ndarray, stride: tuple[int, int],
                    pad: tuple[int, int], dilate: tuple[int, int],
                    ksize: tuple[int, int], precision: str = 'float32',
                    ) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Computes the gradients of filters and bias of :func:`convolve`.

    Each thread adds up its part of the batch, so that the roundings depend
    on the number of threads.

    Args:
        x, stride, pad, dilate: As of :func:`convolve`; ``x`` may be packed.
        gy: Gradient of the result, float32 (batch, filters, h_out, w_out).
        ksize: Of the filters, (kh, kw).
        precision: One of :data:`bnn.kernels.products.PRECISIONS`.

    Returns:
        float32 (filters, channels, kh, kw) and (filters,); the gradient of
        the bias is the sum of ``gy`` as it is.
    """
    n_filters, n_channels, size = gy.shape[1], x.shape[1], gy.shape[2:]
    unit = operands.unit_for(precision)
    is_rounded = precision == 'bfloat16' and unit == float_tiles.FLOATS
    is_packed = isinstance(x, sign_images.PackedImages)
    if is_packed and unit == float_tiles.FLOATS:
        gW, gb = sign_gradients.filter_gradient(
            x, gy, stride, dilate, ksize, is_rounded)
        value = numpy.float32(x.value)
        gW *= products.round_to_bfloat16(value) if is_rounded else value
        return gW, gb
    padded = operands.pad_size(x.shape[2:], pad)
    # The image is turned to (h, w, channels), so that neighbouring columns
    # are neighbours in it.
    terms = operands.places(padded, size, stride).reshape(size)
    if float_tiles.IS_PAIRED[unit]:  # A word has two places of a row.
        terms = terms[:, ::2]
    # The terms of a group of images follow one another.
    group = max(1, min(len(gy), operands.GROUP // max(
        4, *(4 * math.prod(image.shape[1:]) for image in (x, gy)))))
    n_words = (math.prod(padded) + _RUN) * n_channels
    terms = numpy.arange(group)[:, None] * n_words + (
        terms.reshape(-1) * n_channels)
    weights = operands.places(padded, ksize, dilate) * n_channels
    columns = (weights[:, None] + numpy.arange(n_channels)).reshape(-1)
    starts, targets, sources = operands.runs(columns)
    n_parts = threads.n_threads(x.size)
    sums = numpy.zeros(
        (n_parts, float_tiles.whole(n_filters, float_tiles.ROWS[unit]),
         (len(starts) - 1) * _COLUMNS), numpy.float32)
    gb = numpy.zeros((n_parts, n_filters))
    if gy.size and x.size:
        images, words, value = x, numpy.empty((0, 2, 0), 'I'), gy.dtype.type(1)
        if is_packed:
            images, words = numpy.empty((0, n_channels, 0, 0), 'f'), x.words
            value = x.value
        _filter_gradient(
            x.size, numpy.ascontiguousarray(images), words, value,
            numpy.ascontiguousarray(gy).reshape(len(gy), n_filters, -1),
            size[1], padded, pad, stride[1], n_words, terms, starts, targets,
            sources, columns.size, unit, is_rounded, sums, gb)
    gW = sums[0]
    for other in sums[1:]:
        gW += other
    gW = gW[:n_filters, :columns.size].reshape(n_filters, *ksize, n_channels)
    return (numpy.ascontiguousarray(gW.transpose(0, 3, 1, 2)),
            gb.sum(axis=0).astype(numpy.float32))


def _product(x, W, pad, stride, dilate, b, precision='float32', scale=None):
    """Convolves images, whose channels are multiplied by a scale before."""
    are_signs = scale is not None
    unit = operands.unit_for(precision, are_signs)
    n_filters, n_channels, *ksize = W.shape
    size = operands.out_size(x.shape[2:], ksize, stride, pad, dilate)
    padded = operands.pad_size(x.shape[2:], pad)
    y = nontemporal.empty((len(x), n_filters, *size), numpy.float32)
    if not y.size:
        return y
    if b is None:
        b = numpy.zeros(n_filters, numpy.float32)
    if scale is None:
        scale = numpy.ones(n_channels, numpy.float32)
    n_planes = -(-n_channels // 2) if float_tiles.IS_PAIRED[unit] else (
        n_channels)
    terms = operands.offsets(padded, n_planes, ksize, dilate)
    rows = operands.make_rows(W, precision, unit, are_signs)
    work = y.size * len(terms) // 8
    columns = operands.places(padded, size, stride)
    n_words = n_planes * math.prod(padded)
    group = operands.choose_group(
        len(x), columns.size, 4 * n_words, threads.n_threads(work))
    columns = numpy.arange(group)[:, None] * n_words + columns
    _convolve(
        work, numpy.ascontiguousarray(x), rows, padded, pad, n_words, terms,
        *operands.runs(columns.reshape(-1)), group, b, unit,
        precision == 'bfloat16', scale, y.reshape(len(x), n_filters, -1),
        nontemporal.is_streamed(y, math.gcd(math.prod(size), _COLUMNS)))
    return y


@numba.njit(error_model='numpy')
def _pad(x, padded, pad, is_rounded, scale, planes, pitch):
    """Copies an image into planes, with zeros around.

    Planes are a vector, one each ``pitch`` words: the compiler knows then
    that neighbours in a plane are neighbours in memory.
    """
    n_channels, height, width = x.shape
    pixels = x.reshape(-1)
    n_rows = height
    if padded[0] * padded[1] == height * width:
        n_rows, width = 1, height * width
    for c in range(n_channels):
        plane = planes[c * pitch:c * pitch + padded[0] * padded[1]]
        if n_rows * width < plane.size:
            float_tiles.fill(numpy.float32(0), plane)
        for i in range(n_rows):
            at = (c * n_rows + i) * width
            start = (pad[0] + i) * padded[1] + pad[1]
            float_tiles.copy(pixels[at:at + width], is_rounded, scale[c],
                             plane[start:start + width])


@threads.Kernel
def _convolve(x, rows, padded, pad, n_image, terms, starts, targets, sources,
              group, b, unit, is_rounded, scale, y, is_streamed):
    n_rows, per_word = len(rows), float_tiles.PER_WORD[unit]
    n_words = rows.shape[1] * per_word
    n_channels = x.shape[1]
    n_filters, n_places = y.shape[1:]
    size = padded[0] * padded[1]
    is_paired = float_tiles.IS_PAIRED[unit]
    for part in numba.prange(-(-len(x) // group)):
        start = part * group
        n_images = min(group, len(x) - start)
        images = numpy.empty(group * n_image + _RUN, numpy.float32)
        images[n_images * n_image:] = 0
        pair = numpy.empty(2 * size if is_paired else 0, numpy.float32)
        panel = float_tiles.make_panel(min(n_words, _TERMS))
        sums = numpy.zeros((n_rows, _COLUMNS), numpy.float32)
        for g in range(n_images):
            image = images[g * n_image:(g + 1) * n_image]
            if not is_paired:
                _pad(x[start + g], padded, pad, is_rounded, scale, image,
                     size)
                continue
            for c in range(0, n_channels, 2):
                pair[size:] = 0  # the other one of an odd channel
                _pad(x[start + g, c:c + 2], padded, pad, False, scale[c:],
                     pair, size)
                float_tiles.pair_up(pair[:size], pair[size:], image[
                    c // 2 * size:].view(numpy.uint32))
        for t in range(-(-n_images * n_places // _COLUMNS)):
            first = t * _COLUMNS
            width = min(_COLUMNS, n_images * n_places - first)
            n, place = divmod(first, n_places)
            if not is_streamed:
                float_tiles.fetch_rows(
                    y[start + n, :, place:].ctypes.data, 4 * n_places,
                    n_filters, min(width, n_places - place))
            # A loop of known length would be 64 stores of a word each.
            for r in range(n_filters):
                float_tiles.fill(b[r], sums[r, :width])
            for k in range(0, n_words, _TERMS):
                length = min(_TERMS, n_words - k)
                _fill(images, terms[k:k + length], starts, targets, sources,
                      t, length, panel)
                float_tiles.multiply(
                    unit, rows[:, k // per_word:].ctypes.data,
                    rows.strides[0], n_rows, panel.ctypes.data, length,
                    width, sums.ctypes.data, 4 * _COLUMNS)
            done = 0
            while done < width:
                n, place = divmod(first + done, n_places)
                n_more = min(width - done, n_places - place)
                if is_streamed:
                    source = sums[:, done:].ctypes.data
                    target = y[start + n, :, place:].ctypes.data
                    for r in range(n_filters):
                        nontemporal.copy(
                            source + 4 * _COLUMNS * r,
                            target + 4 * n_places * r, 4 * n_more)
                else:
                    for r in range(n_filters):
                        float_tiles.copy(
                            sums[r, done:done + n_more], False,
                            numpy.float32(1),
                            y[start + n, r, place:place + n_more])
                done += n_more
        nontemporal.finish()


@numba.njit(error_model='numpy')
def _fill(image, terms, starts, targets, sources, t, n_words, panel):
    """Gathers a panel from an image; words without a term are 0."""
    float_tiles.gather(
        image.ctypes.data, terms.ctypes.data, len(terms),
        sources[starts[t]:].ctypes.data, targets[starts[t]:].ctypes.data,
        starts[t + 1] - starts[t], panel.ctypes.data)
    panel[len(terms) * _COLUMNS:n_words * _COLUMNS] = 0


@threads.Kernel
def _filter_gradient(x, words, value, gy, width, padded, pad, step, n_image,
                     terms, starts, targets, sources, n_columns, unit,
                     is_rounded, sums, gb):
    n_channels = x.shape[1]
    n_planes = 0 if len(words) else n_channels
    n_parts, n_rows = sums.shape[:2]
    group, n_terms = terms.shape
    size = padded[0] * padded[1]
    is_paired = float_tiles.IS_PAIRED[unit]
    one = numpy.ones(1, numpy.float32)
    # Rows of a whole page would all fall into one set of the cache.
    pitch = size + _RUN
    for part in numba.prange(n_parts):
        planes = numpy.zeros(
            float_tiles.whole(n_planes, _RUN) * pitch, numpy.float32)
        places = numpy.zeros(size + step, numpy.float32)
        # Unpacked pairs may go 31 words beyond an image.
        pixels = numpy.zeros(group * n_image + 2 * _RUN, numpy.float32)
        rows = numpy.zeros((n_rows, float_tiles.whole(
            group * n_terms, float_tiles.WORDS[unit])), numpy.float32)
        panel = float_tiles.make_panel(min(rows.shape[1], _TERMS))
        last = (part + 1) * len(gy) // n_parts
        for n in range(part * len(gy) // n_parts, last, group):
            n_images = min(group, last - n)
            for g in range(n_images):
                image = pixels[g * n_image:]
                if len(words):
                    sign_images.unpack_pairs(
                        words[n + g], n_channels, size, step, value,
                        image.view(numpy.uint32))
                for c in range(n_planes):
                    to = planes[c * pitch:]
                    plane = places if is_paired else to
                    _pad(x[n + g, c:c + 1], padded, pad, is_rounded, one,
                         plane, size)
                    if is_paired:
                        float_tiles.pair_up(places[:size], places[step:],
                                            to.view(numpy.uint32))
                # From the last channels: what goes beyond a pixel falls on
                # the first ones of the next.
                for c in range((n_planes - 1) // _RUN * _RUN, -1, -_RUN):
                    for p in range(0, size, _RUN):
                        float_tiles.transpose(
                            planes[c * pitch + p:].ctypes.data, 4 * pitch,
                            image[p * n_channels + c:].ctypes.data,
                            4 * n_channels)
                operands.add_up(gy[n + g], gb[part])
                if is_paired:
                    _pair_places(gy[n + g], width, rows.view(numpy.uint32),
                                 g * n_terms)
                else:
                    operands.copy_places(gy[n + g], n_terms, is_rounded, rows,
                                         g * n_terms)
            n_there = n_images * n_terms
            rows[:, n_there:] = 0
            n_words = float_tiles.whole(n_there, float_tiles.WORDS[unit])
            for t in range(len(starts) - 1):
                for k in range(0, n_words, _TERMS):
                    length = min(_TERMS, n_words - k)
                    _fill(pixels,
                          terms.reshape(-1)[k:min(k + length, n_there)],
                          starts, targets, sources, t, length, panel)
                    float_tiles.multiply(
                        unit, rows[:, k:].ctypes.data, rows.strides[0],
                        n_rows, panel.ctypes.data, length,
                        min(_COLUMNS, n_columns - t * _COLUMNS),
                        sums[part, :, t * _COLUMNS:].ctypes.data,
                        4 * sums.shape[2])


@numba.njit(error_model='numpy')
def _pair_places(gy, width, rows, at):
    """Makes words of two places of a row; an odd row's last one has 0."""
    if width % 2 == 0:
        width = gy.shape[1]
    n_whole, n_words = width // 2, -(-width // 2)
    for r in range(len(gy)):
        for i in range(gy.shape[1] // width):
            start = at + i * n_words
            row = gy[r, i * width:(i + 1) * width]
            pairs = rows[r, start:start + n_whole]
            for j in range(n_whole):
                pairs[j] = float_tiles.bfloat16(row[2 * j]) | (
                    float_tiles.bfloat16(row[2 * j + 1]) << numpy.uint32(16))
            for j in range(2 * n_whole, width):
                rows[r, start + n_whole] = float_tiles.bfloat16(row[j])
