"""Average-pooling of NumPy arrays, in one pass."""
from __future__ import annotations

import chainer
import chainer.functions as F
import numpy
from chainer.functions.pooling import pooling_2d
from chainer.utils import conv

from bnn.kernels import pool


class AveragePooling2D(pooling_2d.Pooling2D):
    """Takes the mean of each window; see :func:`average_pooling_2d`."""

    def forward_cpu(self, inputs):
        x, = inputs
        self._size = x.shape[2:]
        geometry = self._geometry()
        return pool.average_pool(x, *geometry, tuple(map(
            conv.get_conv_outsize, self._size, *geometry))),

    def backward(self, indexes, grad_outputs):
        gy, = grad_outputs
        geometry = self._geometry()
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            # The gradient does not depend on the images.
            x = chainer.Variable(numpy.zeros(
                (*gy.shape[:2], *self._size), gy.dtype))
            y = F.average_pooling_2d(x, *geometry)
            return chainer.grad([y], [x], [gy], enable_double_backprop=True)
        return chainer.as_variable(pool.average_pool_gradient(
            gy.array, *geometry, self._size)),

    def _geometry(self):
        return (self.kh, self.kw), (self.sy, self.sx), (self.ph, self.pw)


def average_pooling_2d(x: chainer.Variable | numpy.ndarray, ksize: int,
                       stride: int | None = None,
                       pad: int = 0) -> chainer.Variable:
    """Takes the mean of each window of an image.

    The result is that of :func:`chainer.functions.average_pooling_2d`, to the
    bit: the values of a window are added row by row, and the padding counts
    as 0.  NumPy arrays of float32 and 64 are pooled without a copy of each
    window; others, and windows that leave gaps, by Chainer.

    Args:
        x: Images, (batch, channels, h, w), of a float dtype.
        ksize: Side of a window.
        stride: Distance of the windows; ``ksize`` by default.
        pad: Width of the padding.

    Returns:
        (batch, channels, h_out, w_out), of the dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` is no such array.
    """
    stride = ksize if stride is None else stride
    array = chainer.as_array(x)
    if (type(array) is not numpy.ndarray or array.ndim != 4
            or array.dtype not in (numpy.float32, numpy.float64)
            or stride > ksize or min(array.shape[2:]) + 2 * pad < ksize):
        return F.average_pooling_2d(x, ksize, stride, pad)
    return AveragePooling2D(ksize, stride, pad, False).apply((x,))[0]
