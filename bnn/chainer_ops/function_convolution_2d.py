"""Two-dimensional convolution of NumPy arrays, without im2col."""
from __future__ import annotations

import chainer
import numpy
from chainer.functions.connection import convolution_2d as chainers
from chainer.utils import conv

from bnn.chainer_ops import precision
from bnn.kernels import convolution
from bnn.kernels import sign_images


class Convolution2DFunction(chainers.Convolution2DFunction):
    """Chainer's convolution; see :func:`convolution_2d`."""

    @property
    def geometry(self) -> tuple[tuple[int, int], ...]:
        """Stride, padding and dilation, each (h, w)."""
        return (self.sy, self.sx), (self.ph, self.pw), (self.dy, self.dx)

    def is_fast(self, *arrays) -> bool:
        """Tells whether the kernels take these arrays: x, W and others."""
        x, W = arrays[:2]
        return (self.groups == 1 and not self.cover_all
                and all(type(array) in (
                    numpy.ndarray, sign_images.PackedImages)
                    and array.dtype == numpy.float32 for array in arrays)
                and self.has_output(x, W))

    def has_output(self, x, W) -> bool:
        """Tells whether the filters fit into the images."""
        return min(x.size, W.size) > 0 and all(
            conv.get_conv_outsize(size, k, s, p, d=d) > 0
            for size, k, s, p, d in zip(
                x.shape[2:], W.shape[2:], *self.geometry, strict=True))

    def scale(self, W: numpy.ndarray) -> numpy.ndarray | None:
        """Returns the scale of each filter, if ``W`` is signs times it."""
        return None

    def forward_cpu(self, inputs):
        if not self.is_fast(*inputs):
            return super().forward_cpu(inputs)
        self.retain_inputs((0, 1))
        return convolution.convolve(*inputs[:2], *self.geometry,
                                    *inputs[2:]),

    def retained_operands(self) -> tuple:
        """Returns x, which may be packed, and W."""
        return tuple(v.array for v in self.get_retained_inputs())

    def backward(self, indexes, grad_outputs):
        x, W = self.retained_operands()
        gy = grad_outputs[0].array
        if (chainer.config.enable_backprop  # a gradient of this is wanted
                or not self.is_fast(x, W, gy)):
            return super().backward(indexes, grad_outputs)
        gx = (self.input_gradient(gy, W, x.shape[2:]) if 0 in indexes
              else None)
        gW, gb = (self.filter_gradient(x, gy, W.shape[2:])
                  if 1 in indexes or 2 in indexes else (None, None))
        return [chainer.as_variable((gx, gW, gb)[i]) for i in indexes]

    def input_gradient(self, gy: numpy.ndarray, W: numpy.ndarray,
                       size: tuple[int, int]) -> numpy.ndarray:
        """Computes the gradient of images of a size."""
        return convolution.input_gradient(
            gy, W, *self.geometry, size, self.scale(W), precision.get())

    def filter_gradient(self, x, gy: numpy.ndarray, ksize: tuple[int, int],
                        ) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Computes the gradients of filters and bias; x may be packed."""
        return convolution.filter_gradient(
            x, gy, *self.geometry, ksize, precision.get())


def convolution_2d(
        x: chainer.Variable | numpy.ndarray,
        W: chainer.Variable | numpy.ndarray,
        b: chainer.Variable | numpy.ndarray | None = None,
        stride: int | tuple[int, int] = 1, pad: int | tuple[int, int] = 0,
        dilate: int | tuple[int, int] = 1, groups: int = 1,
        ) -> chainer.Variable:
    """Convolves images with filters.

    The result is that of :func:`chainer.functions.convolution_2d` up to the
    rounding of float32 sums.  NumPy arrays of float32 are convolved by
    :mod:`bnn.kernels.convolution`, and the gradients have the precision of
    :mod:`bnn.chainer_ops.precision`; others, and groups, by Chainer.

    Args:
        x: Images, (batch, channels, h, w), of a float dtype.
        W: Filters, (filters, channels / groups, kh, kw).
        b: Bias, (filters,).
        stride: Step of the filter.
        pad: Width of the padding, which is 0.
        dilate: Distance of the filter's elements.
        groups: Groups of channels that do not see each other.

    Returns:
        (batch, filters, h_out, w_out), of the dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    function = Convolution2DFunction(
        stride, pad, dilate=dilate, groups=groups)
    return function.apply((x, W) if b is None else (x, W, b))[0]
