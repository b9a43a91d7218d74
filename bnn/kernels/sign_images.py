"""Images of signs, packed for training.  NumPy arrays."""
from __future__ import annotations

import math

import numba
import numpy
from llvmlite import ir
from numba.extending import intrinsic

from bnn.kernels import convolution_operands as operands
from bnn.kernels import float_tiles
from bnn.kernels import threads
from bnn.kernels import tiles

# Elements that are looked at before all are
_FIRST = 4096


class PackedImages:
    """Images of -c, 0 and +c, an element in two bits.

    Args:
        shape: (batch, channels, h, w).
        dtype: Of the images.
        value: c.
        pad: Width of the padding, (h, w); it is 0.
        has_zeros: Whether an element, or the padding, may be 0.

    Attributes:
        words (numpy.ndarray): uint32 (batch, 2, words of an image).  A word
            has a pixel of 32 channels: whether each is positive, and whether
            it is not 0.
        padded (tuple of int): Size of a padded plane, (h, w).
    """

    def __init__(self, shape: tuple[int, ...], dtype: numpy.dtype,
                 value: float, pad: tuple[int, int], has_zeros: bool = True):
        self.shape = shape
        self.size = math.prod(shape)
        self.dtype = dtype
        self.value = value
        self.pad = pad
        self.padded = operands.pad_size(shape[2:], pad)
        self.has_zeros = has_zeros
        self.words = numpy.zeros((
            shape[0], 2, -(-shape[1] // 32) * math.prod(self.padded)
            + float_tiles.RUN), numpy.uint32)

    def unpack(self) -> numpy.ndarray:
        """Returns the images as they were."""
        (n, n_channels, height, width), (top, left) = self.shape, self.pad
        groups = -(-n_channels // 32)
        words = self.words[:, :, :groups * math.prod(self.padded)].reshape(
            n, 2, groups, 1, *self.padded)
        bits = words >> numpy.arange(32, dtype=numpy.uint32)[
            :, None, None] & numpy.uint32(1)
        signs, is_set = bits.reshape(n, 2, 32 * groups, *self.padded)[
            :, :, :n_channels, top:top + height, left:left + width].swapaxes(
                0, 1).astype(numpy.bool_)
        value = self.dtype.type(self.value)
        return numpy.where(is_set, numpy.where(signs, value, -value),
                           self.dtype.type(0))


@numba.njit(error_model='numpy')
def unpack_pairs(words, n_channels, n_pixels, step, value, pairs):
    """Writes an image of :class:`PackedImages` as words of two bfloat16.

    A word has a channel of two pixels, the second one ``step`` further; what
    it has where there is none is not defined.

    Args:
        words: uint32 (2, words of an image).
        n_channels: Channels.
        n_pixels: Pixels of a plane.
        step: From the first pixel to the second.
        value: What the signs are multiplied by.
        pairs: Where they go, uint32 (pixels, channels), flat, with room for
            31 words more, which may be written.
    """
    size = float_tiles.bfloat16(value)
    # From the last channels: what goes beyond a pixel falls on the first ones
    # of the next.
    for group in range((n_channels - 1) // 32, -1, -1):
        for p in range(n_pixels):
            at = group * n_pixels + p
            other = at + min(step, n_pixels - 1 - p)
            _unpack_pair(
                words[0, at], words[1, at], words[0, other], words[1, other],
                size, pairs.ctypes.data + 4 * (p * n_channels + 32 * group))


@intrinsic
def _unpack_pair(typingctx, signs, is_set, other_signs, is_other_set, size,
                 target):
    """Writes 32 channels of two pixels; the last argument is an address."""
    def generate(context, builder, signature, args):
        bits_of = ir.VectorType(ir.IntType(1), 32)
        signs, is_set, other_signs, is_other_set = (
            builder.bitcast(arg, bits_of) for arg in args[:4])
        kind = ir.VectorType(ir.IntType(32), 32)
        zero, half = (ir.Constant(kind, [n] * 32) for n in (0, 16))
        plus = tiles.splat(builder, args[4], kind)
        minus = builder.or_(plus, ir.Constant(kind, [1 << 15] * 32))
        low = builder.select(
            is_set, builder.select(signs, plus, minus), zero)
        high = builder.select(
            is_other_set, builder.shl(builder.select(
                other_signs, plus, minus), half), zero)
        tiles.store(builder, builder.or_(low, high), args[5], 0)
        return context.get_dummy_value()

    word = numba.types.uint32
    return numba.types.void(word, word, word, word, word,
                            numba.types.uintp), generate


def pack(x: numpy.ndarray, pad: tuple[int, int]) -> PackedImages | None:
    """Packs images, if each element is -c, 0 or +c with one c.

    Args:
        x: (batch, channels, h, w), float32 or 64.
        pad: Width of the padding, (h, w); it is 0.

    Returns:
        The images; ``None`` if there are other elements.
    """
    x = numpy.ascontiguousarray(x)
    first = abs(x.reshape(-1)[:_FIRST])
    value = first.max(initial=0)
    if not ((first == value) | (first == 0)).all() or not value < numpy.inf:
        return None
    packed = PackedImages(x.shape, x.dtype, value, pad)
    has_others, has_zeros = numpy.zeros((2, len(x)), numpy.bool_)
    _pack(x.size, x.reshape(*x.shape[:2], math.prod(x.shape[2:])), value,
          x.shape[3], packed.padded, pad, packed.words, has_others, has_zeros)
    packed.has_zeros = bool(max(pad) or has_zeros.any())
    return None if has_others.any() else packed


@threads.Kernel
def _pack(x, value, width, padded, pad, words, has_others, has_zeros):
    for n in numba.prange(len(x)):
        has_others[n], has_zeros[n] = _pack_image(
            x[n], value, width, padded, pad, words[n])


@numba.njit(error_model='numpy')
def _pack_image(x, value, width, padded, pad, words):
    """Packs an image, (channels, pixels).

    Returns:
        Whether an element is none of 0, ``value`` and ``-value``; and whether
        one is neither of the last two.
    """
    n_channels, size = x.shape
    signs, masks = numpy.empty((2, size), numpy.uint32)
    zero, has_others, has_zeros = numpy.zeros(3, numpy.uint32)
    for group in range(-(-n_channels // 32)):
        float_tiles.fill(zero, signs)
        float_tiles.fill(zero, masks)
        for c in range(32 * group, min(32 * group + 32, n_channels)):
            bit, plane = numpy.uint32(1) << numpy.uint32(c % 32), x[c]
            for i in range(size):
                element = abs(plane[i])
                signs[i] |= bit if plane[i] > 0 else zero
                masks[i] |= bit if element == value else zero
                has_others |= numpy.uint32((element != value)
                                           & (element != 0))
                has_zeros |= numpy.uint32(element != value)
        copy_into_padded(signs, width, padded, pad, group, words[0])
        copy_into_padded(masks, width, padded, pad, group, words[1])
    return has_others != 0, has_zeros != 0


@numba.njit(error_model='numpy')
def copy_into_padded(pixels, width, padded, pad, group, words):
    """Copies 32 channels of an image to their place in the padded one.

    Args:
        pixels: uint32 (pixels,).
        width: Pixels in a row.
        padded: Size of a padded plane, (h, w).
        pad: Width of the padding, (h, w).
        group: Which 32 channels.
        words: uint32 (words of an image,), of a part of
            :class:`PackedImages`.
    """
    for i in range(pixels.size // max(width, 1)):
        start = (group * padded[0] + pad[0] + i) * padded[1] + pad[1]
        row, to = pixels[i * width:(i + 1) * width], words[start:]
        for j in range(width):
            to[j] = row[j]
