"""Max-pooling and average-pooling.  NumPy arrays of float32 or 64.

A plane is split into its phases: one part for each row and column of a stride,
so that what a window has at one of its places is, for all windows of the
plane, one piece of memory.  The loops over windows are then long, and use
vectors for every stride.
"""
import math

import numba
import numpy

from bnn.kernels import float_tiles
from bnn.kernels import threads

#: The place of a value that is in the padding.
NOWHERE = 255
# Planes of one thread that share the memory of the parts
_BLOCK = 8
# Pixels of planes that are pooled as one
_TOGETHER = 4096


def max_pool(x: numpy.ndarray, ksize: tuple[int, int],
             stride: tuple[int, int], pad: tuple[int, int],
             out_size: tuple[int, int],
             ) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Finds the largest value of each window, and its place.

    Of equal values the first counts, row by row.  NaN is larger than all
    numbers.  Around the image is -inf.

    Args:
        x: Images, (batch, channels, h, w), float32 or 64.
        ksize: Size of a window, (h, w), with at most 255 places.
        stride: Distance of the windows, (h, w).
        pad: Pixels between the edge of the image and the edge of the first
            window, (h, w).
        out_size: Number of windows, (h, w).

    Returns:
        The values, (batch, channels, h_out, w_out) of the dtype of ``x``, and
        their places in the window, ``row * w + column``, uint8 of that shape;
        :data:`NOWHERE` where the place is outside the image.
    """
    y = numpy.empty((*x.shape[:2], *out_size), x.dtype)
    where = numpy.empty(y.shape, numpy.uint8)
    n = _count_together(x.shape[2:], ksize, stride, pad, y.shape)
    _max_pool(x.size, _planes(x, n), ksize, stride, pad, _planes(y, n),
              _planes(where, n))
    return y, where


def max_pool_gradient(
        gy: numpy.ndarray, where: numpy.ndarray, ksize: tuple[int, int],
        stride: tuple[int, int], pad: tuple[int, int],
        size: tuple[int, int]) -> numpy.ndarray:
    """Computes the gradient of :func:`max_pool`.

    Args:
        gy: Gradient of the values, (batch, channels, h_out, w_out), float32
            or 64.
        where: The places, as :func:`max_pool` returned them.
        ksize, stride, pad: As of the forward computation.
        size: Size of the images, (h, w).

    Returns:
        (batch, channels, h, w), of the dtype of ``gy``.
    """
    gx = numpy.empty((*gy.shape[:2], *size), gy.dtype)
    n = _count_together(size, ksize, stride, pad, gy.shape)
    _gradient(gx.size, _planes(gy, n), _planes(where, n), ksize, stride, pad,
              _planes(gx, n))
    return gx


def average_pool(x: numpy.ndarray, ksize: tuple[int, int],
                 stride: tuple[int, int], pad: tuple[int, int],
                 out_size: tuple[int, int]) -> numpy.ndarray:
    """Computes the mean of each window; the padding counts as 0.

    The values of a window are added row by row, and the sum is divided by
    their number.

    Args:
        x, ksize, stride, pad, out_size: See :func:`max_pool`.  A window has
            any number of places.

    Returns:
        (batch, channels, h_out, w_out), of the dtype of ``x``.
    """
    y = numpy.empty((*x.shape[:2], *out_size), x.dtype)
    n = _count_together(x.shape[2:], ksize, stride, pad, y.shape)
    _average_pool(x.size, _planes(x, n), ksize, stride, pad, _planes(y, n))
    return y


def average_pool_gradient(
        gy: numpy.ndarray, ksize: tuple[int, int], stride: tuple[int, int],
        pad: tuple[int, int], size: tuple[int, int]) -> numpy.ndarray:
    """Computes the gradient of :func:`average_pool`.

    Args:
        gy: Gradient of the result, (batch, channels, h_out, w_out), float32
            or 64.
        ksize, stride, pad: As of the forward computation.
        size: Size of the images, (h, w).

    Returns:
        (batch, channels, h, w), of the dtype of ``gy``.
    """
    gx = numpy.empty((*gy.shape[:2], *size), gy.dtype)
    n = _count_together(size, ksize, stride, pad, gy.shape)
    _gradient(gx.size, _planes(gy, n), numpy.empty((0, 0, 0), numpy.uint8),
              ksize, stride, pad, _planes(gx, n))
    return gx


def _count_together(size, ksize, stride, pad, out_shape):
    """Returns how many planes are pooled as one, one above the other.

    More than one where the windows fill a plane from top to bottom, so that
    none reaches into the next: small planes would each take longer to set up
    than to pool.
    """
    n_planes = math.prod(out_shape[:2])
    if pad[0] or ksize[0] != stride[0] or size[0] != out_shape[2] * stride[0]:
        return 1
    most = max(1, min(n_planes, _TOGETHER // max(1, math.prod(size))))
    return max(n for n in range(1, most + 1) if n_planes % n == 0)


def _planes(x, n):
    # The product, because reshape cannot tell -1 for an empty batch
    return numpy.ascontiguousarray(x).reshape(
        math.prod(x.shape[:2]) // n, n * x.shape[2], x.shape[3])


@threads.Kernel
def _max_pool(x, ksize, stride, pad, y, where):
    for block in numba.prange(-(-len(x) // _BLOCK)):
        some = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _max_of_planes(x[some], ksize, stride, pad, y[some], where[some])


@numba.njit(error_model='numpy')
def _max_of_planes(x, ksize, stride, pad, y, where):
    size = _part_size(y.shape, ksize, stride)
    n = y.shape[1] * size[1]
    image, parts = _memory(x.dtype, ksize, stride, size, -numpy.inf)
    starts, offsets = _offsets(x.shape, ksize, stride, pad, size)
    # The largest so far and their places, and the next ones
    most = numpy.empty((2, n), x.dtype)
    places = numpy.empty((2, n), numpy.int32)
    first = numpy.zeros(n, numpy.int32)
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            if not (0 <= i * stride[0] - pad[0] < x.shape[1]
                    and 0 <= j * stride[1] - pad[1] < x.shape[2]):
                first[i * size[1] + j] = NOWHERE
    for p in range(len(x)):
        _copy_in(x[p], image, starts)
        _split(image, parts, stride[1])
        _copy(parts[0], most[0])  # the first place
        _copy(first, places[0])
        for place in range(1, len(offsets)):
            q, at = offsets[place]
            last, this = (place - 1) % 2, place % 2
            _take_larger(place, parts[q, at:at + n], most[last],
                         places[last], most[this], places[this])
        last = (len(offsets) - 1) % 2
        _rows_out(most[last], size[1], y[p])
        _rows_out(places[last], size[1], where[p])


@threads.Kernel
def _average_pool(x, ksize, stride, pad, y):
    for block in numba.prange(-(-len(x) // _BLOCK)):
        some = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _average_of_planes(x[some], ksize, stride, pad, y[some])


@numba.njit(error_model='numpy')
def _average_of_planes(x, ksize, stride, pad, y):
    size = _part_size(y.shape, ksize, stride)
    n = y.shape[1] * size[1]
    image, parts = _memory(x.dtype, ksize, stride, size, 0.)
    starts, offsets = _offsets(x.shape, ksize, stride, pad, size)
    total = numpy.empty(n, x.dtype)
    for p in range(len(x)):
        _copy_in(x[p], image, starts)
        _split(image, parts, stride[1])
        float_tiles.fill(x.dtype.type(0), total)
        for q, at in offsets:
            _add(total, parts[q, at:at + n])
        _divide(total, len(offsets))
        _rows_out(total, size[1], y[p])


@threads.Kernel
def _gradient(gy, where, ksize, stride, pad, gx):
    for block in numba.prange(-(-len(gx) // _BLOCK)):
        some = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _gradient_of_planes(gy[some], where[some], ksize, stride, pad,
                            gx[some])


@numba.njit(error_model='numpy')
def _gradient_of_planes(gy, where, ksize, stride, pad, gx):
    """Adds the gradient of each window to its place, or to all of them.

    Without places it is that of the mean.
    """
    size = _part_size(gy.shape, ksize, stride)
    n = gy.shape[1] * size[1]
    image, parts = _memory(gy.dtype, ksize, stride, size, 0.)
    starts, offsets = _offsets(gx.shape, ksize, stride, pad, size)
    spread = numpy.zeros(n, gy.dtype)
    places = numpy.zeros(n, numpy.int32)
    for p in range(len(gx)):
        _rows_in(gy[p], size[1], spread)
        if len(where):
            _rows_in(where[p], size[1], places)
        for q in range(len(parts)):
            float_tiles.fill(gy.dtype.type(0), parts[q])
        # Chainer adds up windows that overlap in this order, from the last.
        for place in range(len(offsets)):
            q, at = offsets[place]
            if len(where):
                _add_where(places, place, spread, parts[q, at:at + n])
            else:
                _add(parts[q, at:at + n], spread)
        _join(parts, image, stride[1])
        if not len(where):
            _divide(image, len(offsets))
        _copy_out(image, gx[p], starts)


# ---- from a plane to its parts and back


# A call counts the references to its arrays, which takes longer than a row.
_inlined = numba.njit(error_model='numpy', inline='always')


@numba.njit(error_model='numpy')
def _part_size(shape, ksize, stride):
    """Returns the size of a part: the windows, and what the last ones need
    to the right and below.
    """
    return (shape[1] - 1 + -(-ksize[0] // stride[0]),
            shape[2] - 1 + -(-ksize[1] // stride[1]))


@numba.njit(error_model='numpy')
def _memory(dtype, ksize, stride, size, value):
    """Makes the padded image, whose rows are in the order of their parts, and
    the parts, (columns of a stride, rows of a stride * size).
    """
    n = stride[0] * size[0] * size[1]
    # What follows belongs to columns behind the last window.
    return (numpy.full(n * stride[1], value, dtype),
            numpy.zeros((stride[1], n + ksize[1]), dtype))


@numba.njit(error_model='numpy')
def _offsets(shape, ksize, stride, pad, size):
    """Computes where things are, once for all planes: divisions are slow.

    Returns:
        First and last pixel of each row of a plane in the padded image, (rows,
        2), without what is behind the last window; part and offset of each
        place of the windows, (places, 2).
    """
    width = size[1] * stride[1]
    height = max(min(shape[1], size[0] * stride[0] - pad[0]), 0)
    starts = numpy.empty((height, 2), numpy.int64)
    for i in range(height):
        r = i + pad[0]
        row = r % stride[0] * size[0] + r // stride[0]
        starts[i] = row * width + pad[1]
        starts[i, 1] += max(min(shape[2], width - pad[1]), 0)
    offsets = numpy.empty((ksize[0] * ksize[1], 2), numpy.int64)
    for i in range(len(offsets)):
        r, c = divmod(i, ksize[1])
        row = r % stride[0] * size[0] + r // stride[0]
        offsets[i, 0] = c % stride[1]
        offsets[i, 1] = row * size[1] + c // stride[1]
    return starts, offsets


@_inlined
def _copy_in(x, image, starts):
    for r in range(len(starts)):
        _copy(x[r], image[starts[r, 0]:starts[r, 1]])


@_inlined
def _copy_out(image, x, starts):
    # Behind the last window it is 0.
    for r in range(len(x)):
        width = 0
        if r < len(starts):
            width = starts[r, 1] - starts[r, 0]
            _copy(image[starts[r, 0]:], x[r, :width])
        if width < x.shape[1]:
            float_tiles.fill(x.dtype.type(0), x[r, width:])


@_inlined
def _split(image, parts, stride):
    n = len(image) // stride
    if stride == 2:  # a loop that uses vectors
        even, odd = parts[0, :n], parts[1, :n]
        for k in range(n):
            even[k] = image[2 * k]
            odd[k] = image[2 * k + 1]
    else:
        for q in range(stride):
            for k in range(n):
                parts[q, k] = image[k * stride + q]


@_inlined
def _join(parts, image, stride):
    n = len(image) // stride
    if stride == 2:
        even, odd = parts[0, :n], parts[1, :n]
        for k in range(n):
            image[2 * k] = even[k]
            image[2 * k + 1] = odd[k]
    else:
        for q in range(stride):
            for k in range(n):
                image[k * stride + q] = parts[q, k]


@_inlined
def _copy(values, out):
    """Copies as many values as there is place for."""
    for k in range(len(out)):
        out[k] = values[k]


@_inlined
def _rows_in(y, width, values):
    if width == y.shape[1]:
        _copy(y.reshape(-1), values)
        return
    for i in range(y.shape[0]):
        _copy(y[i], values[i * width:i * width + y.shape[1]])


@_inlined
def _rows_out(values, width, y):
    if width == y.shape[1]:
        _copy(values, y.reshape(-1))
        return
    for i in range(y.shape[0]):
        _copy(values[i * width:], y[i])


# ---- the loops over windows


# Places as wide as float32 make a loop that uses vectors.
@_inlined
def _take_larger(place, values, most, places, new_most, new_places):
    # In place the compiler would store under a mask, which some processors
    # are slow at.
    place = numpy.int32(place)
    for k in range(len(most)):
        value, largest, where = values[k], most[k], places[k]
        # The first of equal ones, or the first NaN
        is_more = (not value <= largest) & (largest == largest)
        new_most[k] = value if is_more else largest
        new_places[k] = place if is_more else where


@_inlined
def _add_where(places, place, values, total):
    place, zero = numpy.int32(place), total.dtype.type(0)
    for k in range(len(total)):
        total[k] += values[k] if places[k] == place else zero


@_inlined
def _add(total, values):
    for k in range(len(total)):
        total[k] += values[k]


@_inlined
def _divide(total, count):
    count = total.dtype.type(count)
    for k in range(len(total)):
        total[k] /= count
