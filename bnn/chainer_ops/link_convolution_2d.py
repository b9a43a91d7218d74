"""Convolutional layer, without im2col on the CPU."""
from __future__ import annotations

import chainer
import chainer.links as L
import numpy

from bnn.chainer_ops import function_convolution_2d


class Convolution2D(L.Convolution2D):
    """Chainer's convolutional layer, faster on the CPU.

    Arguments and parameters are those of
    :class:`chainer.links.Convolution2D`, and so are the results, up to the
    rounding of float32; see
    :func:`~bnn.chainer_ops.function_convolution_2d.convolution_2d`.
    """

    def forward(self, x: chainer.Variable | numpy.ndarray
                ) -> chainer.Variable:
        """Applies the layer.

        Args:
            x: Images, (batch, channels, h, w).

        Returns:
            (batch, filters, h_out, w_out), of the dtype of ``x``.
        """
        if self.xp is not numpy or self.cudnn_fast:
            return super().forward(x)
        if self.W.array is None:
            self._initialize_params(x.shape[1])
        return function_convolution_2d.convolution_2d(
            x, self.W, self.b, self.stride, self.pad, self.dilate,
            self.groups)
