"""What the kernels of convolutions have in common: geometry and operands."""
from __future__ import annotations

import math

import numba
import numpy

from bnn.kernels import float_tiles
from bnn.kernels import products
from bnn.kernels import sign_tables
from bnn.kernels import threads

_COLUMNS = float_tiles.COLUMNS
#: Bytes of a group of images
GROUP = 1 << 19
# Terms of a sum of float32, of which eight or more are added side by side
_SUMMED = 1024
# In bfloat16
_ONE, _MINUS_ONE = numpy.uint32(0x3F80), numpy.uint32(0xBF80)


def pad_size(size: tuple[int, int], pad: tuple[int, int]
             ) -> tuple[int, ...]:
    """Returns the size of a padded image, (h, w)."""
    return tuple(n + 2 * p for n, p in zip(size, pad, strict=True))


def out_size(size: tuple[int, int], ksize: tuple[int, int],
             stride: tuple[int, int], pad: tuple[int, int],
             dilate: tuple[int, int]) -> tuple[int, ...]:
    """Returns the size of the result of a convolution, (h_out, w_out)."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, ksize, stride, pad, dilate,
                                 strict=True))


def places(padded: tuple[int, ...], size: tuple[int, ...],
           step: tuple[int, int]) -> numpy.ndarray:
    """Returns where a grid of places lies in a padded plane.

    Args:
        padded: Size of the plane, (h, w).
        size: Places, (h, w).
        step: Their distance, (h, w).

    Returns:
        int64 (h w,).
    """
    rows, columns = (numpy.arange(n) * s
                     for n, s in zip(size, step, strict=True))
    return (rows[:, None] * padded[1] + columns).reshape(-1)


def offsets(padded: tuple[int, ...], n_planes: int, ksize: tuple[int, int],
            dilate: tuple[int, int]) -> numpy.ndarray:
    """Returns how far the weights of a filter are from its first.

    Args:
        padded: Size of a plane, (h, w).
        n_planes: Planes of an image.
        ksize: Of the filter, (kh, kw).
        dilate: Distance of its elements, (h, w).

    Returns:
        int64 (n_planes kh kw,).
    """
    planes = numpy.arange(n_planes) * (padded[0] * padded[1])
    return (planes[:, None] + places(padded, ksize, dilate)).reshape(-1)


def runs(columns: numpy.ndarray, most: int = float_tiles.RUN,
         ) -> tuple[numpy.ndarray, ...]:
    """Finds which columns follow one another in the image.

    Args:
        columns: Where they are, int64 (n,).
        most: Columns that are copied together.

    Returns:
        For each block of 64 columns the number of its first copy, and one
        more; for each copy its place in the panel and that in the image.
        int64.
    """
    number = numpy.arange(columns.size)
    is_first = numpy.ones(columns.size, bool)
    is_first[1:] = numpy.diff(columns) != 1
    is_first[::_COLUMNS] = True
    first = numpy.maximum.accumulate(numpy.where(is_first, number, 0))
    copies = number[(number - first) % most == 0]
    blocks = numpy.arange(-(-columns.size // _COLUMNS) + 1) * _COLUMNS
    return (numpy.searchsorted(copies, blocks), copies % _COLUMNS,
            columns[copies])


def choose_group(n: int, n_places: int, n_bytes: int, n_threads: int) -> int:
    """Chooses how many images share panels.

    The thread that has the most groups is to have few panels, and the images
    of a group stay in the cache.

    Args:
        n: Images.
        n_places: Columns that an image has.
        n_bytes: Its size, padded.
        n_threads: Threads that share the groups.

    Returns:
        Images of a group, at least 1.
    """
    if n_places >= 8 * _COLUMNS:  # The last panel matters little.
        return 1
    # So many images always have whole panels.
    most = max(1, min(n, _COLUMNS, GROUP // max(1, n_bytes)))
    return min(range(1, most + 1), key=lambda group: (
        -(-n // (group * n_threads)) * -(-group * n_places // _COLUMNS)))


def unit_for(precision: str, are_signs: bool = False) -> int:
    """Returns the unit of :mod:`bnn.kernels.float_tiles` for a product.

    Args:
        precision: One of :data:`bnn.kernels.products.PRECISIONS`.
        are_signs: Whether one operand is +1 and -1.

    Returns:
        Its number.
    """
    if are_signs and products.has_tables(precision):
        return float_tiles.SIGNS
    return (float_tiles.FLOATS if precision == 'float32'
            else float_tiles.UNIT)


def make_rows(W: numpy.ndarray, precision: str, unit: int,
              are_signs: bool = False) -> numpy.ndarray:
    """Makes rows of filters, whole blocks of a unit.

    Args:
        W: Filters, float32 (filters, channels, kh, kw), any strides.
        precision: One of :data:`bnn.kernels.products.PRECISIONS`.
        unit: Of :mod:`bnn.kernels.float_tiles`, see :func:`unit_for`.
        are_signs: Whether only the signs of ``W`` count.

    Returns:
        float32 (rows, words).  A word has one weight; for units of pairs it
        has those of two channels, and a channel of 0 is added to an odd
        number; for signs it has patterns.  What fills up the blocks is 0.
    """
    if unit == float_tiles.SIGNS:
        return sign_tables.pack(W.reshape(len(W), -1))
    is_paired = float_tiles.IS_PAIRED[unit]
    n_planes = -(-W.shape[1] // 2) if is_paired else W.shape[1]
    n_words = n_planes * math.prod(W.shape[2:])
    rows = numpy.zeros((
        float_tiles.whole(len(W), float_tiles.ROWS[unit]),
        float_tiles.whole(n_words, float_tiles.WORDS[unit])), numpy.float32)
    if is_paired:
        _pair_channels(W.size, W, are_signs, rows.view(numpy.uint32))
    else:
        if precision == 'bfloat16':
            W = products.round_to_bfloat16(W)
        rows[:len(W), :n_words] = W.reshape(len(W), -1)
    return rows


@threads.Kernel
def _pair_channels(W, are_signs, rows):
    n_channels, height, width = W.shape[1:]
    nothing = numpy.uint32(0)
    for f in numba.prange(len(W)):
        row, word = rows[f], 0
        for c in range(0, n_channels, 2):
            for i in range(height):
                for j in range(width):
                    low = _rounded(W[f, c, i, j], are_signs)
                    high = (_rounded(W[f, c + 1, i, j], are_signs)
                            if c + 1 < n_channels else nothing)
                    row[word] = low | (high << numpy.uint32(16))
                    word += 1


@numba.njit(error_model='numpy')
def _rounded(x, is_sign):
    """Returns the bits of a number, or of its sign, as bfloat16."""
    if is_sign:
        return _ONE if x >= 0 else _MINUS_ONE
    return float_tiles.bfloat16(x)


@threads.add_in_any_order
def add_up(planes, totals):
    """Adds the sum of each plane, of float32, to one of float64.

    Sums of more than a few numbers are of float64.
    """
    for c in range(len(planes)):
        plane = planes[c]
        for first in range(0, plane.size, _SUMMED):
            some = plane[first:first + _SUMMED]
            total = numpy.float32(0)
            for i in range(some.size):
                total += some[i]
            totals[c] += total


@numba.njit(error_model='numpy')
def copy_places(gy, width, is_rounded, rows, at):
    """Copies the places of an image into rows, one for each filter.

    Each ``width`` of them are filled up with 0 to whole patterns of signs.
    """
    step = float_tiles.whole(width, sign_tables.TERMS)
    for f in range(len(gy)):
        places, terms = gy[f], rows[f, at:]
        for i in range(places.size // width):
            float_tiles.copy(
                places[i * width:(i + 1) * width], is_rounded,
                numpy.float32(1), terms[i * step:i * step + width])
