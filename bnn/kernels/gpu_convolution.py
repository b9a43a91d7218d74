"""Convolutions of signs on CuPy arrays, for packed nets.

Signs of images lie in bytes, +1 and -1, the channels of a pixel side by side:
int8 (n, h, w, pitch), where pitch is a multiple of 16 and what lies behind the
channels is any number.
"""
import cupy
import numpy

from bnn.kernels import gpu_int8

# Of 1 and 0xff AND is the largest, OR the least: four channels at a time.
_pool = cupy.ElementwiseKernel(
    'raw uint32 x, raw uint32 is_minimum, int64 words, int32 height, '
    'int32 width, int32 out_height, int32 out_width, int32 kernel_height, '
    'int32 kernel_width, int32 stride_y, int32 stride_x, int32 pad_y, '
    'int32 pad_x', 'uint32 y',
    """const ptrdiff_t word = i % words, pixel = i / words;
       const int left = pixel % out_width * stride_x - pad_x;
       const int top = pixel / out_width % out_height * stride_y - pad_y;
       const ptrdiff_t image = pixel / out_width / out_height;
       unsigned int most = 0xffffffffu, least = 0x01010101u;
       for (int v = top < 0 ? 0 : top;
            v < top + kernel_height && v < height; ++v) {
           for (int u = left < 0 ? 0 : left;
                u < left + kernel_width && u < width; ++u) {
               const unsigned int four = x[
                   ((image * height + v) * width + u) * words + word];
               most &= four;
               least |= four;
           }
       }
       const unsigned int mask = is_minimum[word];
       y = (most & ~mask) | (least & mask)""",
    'bnn_pool_signs')


def to_bytes(x, dtype=numpy.int8):
    """Returns images (n, channels, h, w) as (n, h, w, pitch) bytes."""
    n, channels, height, width = x.shape
    y = cupy.empty((n, height, width, gpu_int8.padded(channels)), dtype)
    y[..., :channels] = x.transpose(0, 2, 3, 1)
    return y


def to_floats(x, n_channels):
    """Returns signs in bytes as float32 (n, channels, h, w)."""
    return cupy.ascontiguousarray(x[..., :n_channels].transpose(
        0, 3, 1, 2)).astype(numpy.float32)


def linear_weights(W, shape):
    """Brings weights of flattened images into the order of their bytes.

    Args:
        W (numpy.ndarray): (outputs, channels * h * w).
        shape (tuple of int): (channels, h, w).

    Returns:
        numpy.ndarray: (outputs, h * w * pitch), 0 behind the channels.
    """
    W = numpy.moveaxis(W.reshape(len(W), *shape), 1, 3)
    return _with_pitch(W).reshape(len(W), -1)


def _with_pitch(W):
    n = W.shape[-1]
    return numpy.pad(W, [(0, 0)] * (W.ndim - 1) + [
        (0, gpu_int8.padded(n) - n)])


class BitConvolution(object):
    """A convolution of bytes with +1 and -1, one kernel.

    Args:
        W (numpy.ndarray): +1 and -1, (filters, channels, kh, kw).
        stride, pad, dilate (tuple of int): (h, w).
        pad_value (int): What is outside the images: 0 or 1.
        input_size, output_size (tuple of int): (h, w).
        thresholds, scale, offset: As of :class:`gpu_int8.Layer`.
        of_pixels (bool): Whether the operand is uint8.

    Raises:
        ValueError: If sums could leave int32.
    """

    def __init__(self, W, stride, pad, dilate, pad_value, input_size,
                 output_size, thresholds=None, scale=None, offset=None,
                 of_pixels=False):
        rows = _with_pitch(numpy.moveaxis(W, 1, 3)).astype(numpy.int8)
        self._size = output_size
        self._layer = gpu_int8.Layer(
            rows.reshape(len(W), -1), thresholds, scale, offset, of_pixels,
            numpy.array([
                *input_size, *output_size, *W.shape[2:], *stride, *pad,
                *dilate, rows.shape[-1] // gpu_int8.PIECE,
                0x01010101 * pad_value], numpy.int32))

    def __call__(self, x):
        """Computes the convolution.

        Args:
            x (cupy.ndarray): (n, h, w, pitch), of this module's order, less
                than 2^31 pixels.

        Returns:
            cupy.ndarray: Signs in bytes, (n, h_out, w_out, pitch), or floats,
            float32 (n, filters, h_out, w_out).
        """
        n, (height, width) = len(x), self._size
        y = self._layer(x, n * height * width)
        y = y.reshape(n, height, width, y.shape[1])
        if not self._layer.gives_signs:
            y = cupy.ascontiguousarray(y.transpose(0, 3, 1, 2))
        return y


class SignPooling(object):
    """Max-pool of signs in bytes; or min-pool, channel by channel.

    Args:
        ksize, stride, pad (tuple of int): (h, w).
        output_size (tuple of int): (h, w).
        is_minimum (numpy.ndarray): bool (channels,).
    """

    def __init__(self, ksize, stride, pad, output_size, is_minimum):
        mask = _with_pitch(numpy.where(is_minimum, 255, 0).astype(
            numpy.uint8)[None])
        self._mask = cupy.asarray(mask.view(numpy.uint32)[0])
        self._size, self._windows = output_size, (*ksize, *stride, *pad)

    def __call__(self, x):
        """Pools (n, h, w, pitch) to (n, h_out, w_out, pitch)."""
        n, height, width, pitch = x.shape
        y = cupy.empty((n, *self._size, pitch // 4), numpy.uint32)
        _pool(x.view(numpy.uint32), self._mask, pitch // 4, height, width,
              *self._size, *self._windows, y)
        return y.view(numpy.int8)
