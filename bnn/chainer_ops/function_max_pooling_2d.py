"""Max-pooling of NumPy arrays, in one pass."""
from __future__ import annotations

import chainer
import chainer.functions as F
import numpy
from chainer import function_node
from chainer.utils import conv
from chainer.utils import type_check

from bnn.kernels import pool


class MaxPooling2D(function_node.FunctionNode):
    """Takes the largest of each window; see :func:`max_pooling_2d`."""

    def __init__(self, ksize: tuple[int, int], stride: tuple[int, int],
                 pad: tuple[int, int], cover_all: bool):
        super().__init__()
        self.ksize = ksize
        self.stride = stride
        self.pad = pad
        self.cover_all = cover_all

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1)
        x, = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim == 4)

    def forward_cpu(self, inputs):
        x, = inputs
        self.retain_inputs((0,))
        y, self._where = pool.max_pool(
            x, self.ksize, self.stride, self.pad, tuple(
                conv.get_conv_outsize(size, k, s, p, self.cover_all)
                for size, k, s, p in zip(
                    x.shape[2:], self.ksize, self.stride, self.pad,
                    strict=True)))
        return y,

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        gy, = grad_outputs
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            y = F.max_pooling_2d(
                x, self.ksize, self.stride, self.pad, self.cover_all)
            return chainer.grad([y], [x], [gy], enable_double_backprop=True)
        return chainer.as_variable(pool.max_pool_gradient(
            gy.array, self._where, self.ksize, self.stride, self.pad,
            x.shape[2:])),


def max_pooling_2d(x: chainer.Variable | numpy.ndarray, ksize: int,
                   stride: int | None = None, pad: int = 0,
                   cover_all: bool = True) -> chainer.Variable:
    """Takes the largest value of each window of an image.

    The result is that of :func:`chainer.functions.max_pooling_2d`, to the
    bit.  NumPy arrays of float32 and 64 are pooled without a copy of each
    window; others, and windows that leave gaps or have more than 255 pixels,
    by Chainer.

    Args:
        x: Images, (batch, channels, h, w), of a float dtype.
        ksize: Side of a window.
        stride: Distance of the windows; ``ksize`` by default.
        pad: Width of the padding, which counts as -inf.
        cover_all: Whether windows that reach over the edge count.

    Returns:
        (batch, channels, h_out, w_out), of the dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` is no such array.
    """
    stride = ksize if stride is None else stride
    array = chainer.as_array(x)
    if (type(array) is not numpy.ndarray or array.ndim != 4
            or array.dtype not in (numpy.float32, numpy.float64)
            or not array.size or stride > ksize or ksize ** 2 > pool.NOWHERE
            or min(array.shape[2:]) + 2 * pad < ksize):
        return F.max_pooling_2d(x, ksize, stride, pad, cover_all)
    function = MaxPooling2D(
        (ksize,) * 2, (stride,) * 2, (pad,) * 2, cover_all)
    return function.apply((x,))[0]
