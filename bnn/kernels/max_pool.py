"""Max-pooling.  NumPy arrays of float32 or 64."""
import math

import numba
import numpy

from bnn.kernels import threads


def max_pool(x: numpy.ndarray, ksize: tuple[int, int],
             stride: tuple[int, int], out_size: tuple[int, int],
             ) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Finds the largest value of each window, and its place.

    Of equal values the first counts.  NaN is larger than all numbers.  A
    window that reaches over the edge has what is inside.

    Args:
        x: Images, (batch, channels, h, w), float32 or 64.
        ksize: Size of a window, (h, w).
        stride: Distance of the windows, (h, w).
        out_size: Number of windows, (h, w).  Each has a pixel in it.

    Returns:
        The values, (batch, channels, h_out, w_out) of the dtype of ``x``, and
        their places in the image, ``row * w + column``, int32 of that shape.
    """
    planes = numpy.ascontiguousarray(x).reshape(
        math.prod(x.shape[:2]), *x.shape[2:])
    y = numpy.empty((*x.shape[:2], *out_size), x.dtype)
    where = numpy.empty(y.shape, numpy.int32)
    _max_pool(x.size, planes, ksize, stride,
              *(v.reshape(len(planes), *out_size) for v in (y, where)))
    return y, where


@threads.Kernel
def _max_pool(x, ksize, stride, y, where):
    height, width = x.shape[1:]
    for p in numba.prange(len(x)):
        for i in range(y.shape[1]):
            top = i * stride[0]
            for j in range(y.shape[2]):
                y[p, i, j] = x[p, top, j * stride[1]]
                where[p, i, j] = top * width + j * stride[1]
            for r in range(top, min(top + ksize[0], height)):
                for c in range(ksize[1]):
                    # Windows that have this column inside
                    n = min(y.shape[2], (width - c - 1) // stride[1] + 1)
                    for j in range(n):
                        most, value = y[p, i, j], x[p, r, j * stride[1] + c]
                        # The first of equal ones, or the first NaN
                        is_more = (value > most) | (
                            (value != value) & (most == most))
                        y[p, i, j] = value if is_more else most
                        where[p, i, j] = (
                            r * width + j * stride[1] + c if is_more
                            else where[p, i, j])


def max_pool_gradient(gy: numpy.ndarray, where: numpy.ndarray,
                      size: tuple[int, int]) -> numpy.ndarray:
    """Computes the gradient of :func:`max_pool`.

    Args:
        gy: Gradient of the values, (batch, channels, h_out, w_out), float32
            or 64.
        where: The places, as :func:`max_pool` returned them.
        size: Size of the images, (h, w).

    Returns:
        (batch, channels, h, w), of the dtype of ``gy``.
    """
    gx = numpy.zeros((*gy.shape[:2], *size), gy.dtype)
    _max_pool_gradient(
        gx.size, *map(_planes, (numpy.ascontiguousarray(gy), where, gx)))
    return gx


def _planes(x):
    # The product, because reshape cannot tell -1 for an empty batch
    return x.reshape(math.prod(x.shape[:2]), math.prod(x.shape[2:]))


@threads.Kernel
def _max_pool_gradient(gy, where, gx):
    for p in numba.prange(len(gx)):
        # From the last: Chainer adds up windows that overlap in this order.
        for i in range(gy.shape[1] - 1, -1, -1):
            gx[p, where[p, i]] += gy[p, i]
