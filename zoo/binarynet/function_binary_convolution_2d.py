"""Two-dimensional convolution on binarized weights."""
from collections.abc import Callable

import chainer
import chainer.functions as F
import numpy
from chainer.utils import type_check

from bnn.chainer_ops import function_convolution_2d
from bnn.kernels import sign_convolution
from bnn.kernels import sign_images
from zoo.binarynet import function_binarize


class BinaryConvolution2DFunction(
        function_convolution_2d.Convolution2DFunction):
    """Convolution by weights that a binarizer gave: signs times a scale.

    On the CPU, where each element of the input is -c, 0 or +c with one c,
    packed signs are convolved by XNOR and popcount, which is exact.  The
    scale of each filter comes after the sum.  The bits are kept for the
    gradients, and not the input.
    """

    _packed = None

    def scale(self, W: numpy.ndarray) -> numpy.ndarray:
        return abs(W[:, 0, 0, 0])

    def forward_cpu(self, inputs):
        x, W = inputs[:2]
        if (self.groups == 1 and type(x) is type(W) is numpy.ndarray
                and x.dtype in (numpy.float32, numpy.float64)
                and self.has_output(x, W)):
            stride, pad, dilate = self.geometry
            self._packed = sign_images.pack(x, pad)
            if self._packed is not None:
                self.retain_inputs((1,))
                return self.convolve_signs(self._packed, *inputs[1:]),
        return super().forward_cpu(inputs)

    def convolve_signs(self, x: sign_images.PackedImages, W: numpy.ndarray,
                       b: numpy.ndarray | None = None) -> numpy.ndarray:
        """Convolves packed signs, whose padding is that of the function."""
        scale = self.scale(W)
        stride, _, dilate = self.geometry
        return sign_convolution.sign_convolution(
            x, W, scale, numpy.zeros_like(scale) if b is None else b, stride,
            dilate)

    def retained_operands(self):
        if self._packed is None:
            return super().retained_operands()
        return self._packed, super().get_retained_inputs()[0].array

    def get_retained_inputs(self):
        """Returns x and W; unpacks x, which a second gradient needs."""
        retained = super().get_retained_inputs()
        if self._packed is None:
            return retained
        x = self.inputs[0].get_variable()
        if x.array is None:
            x.array = self._packed.unpack()
        return x, *retained


def binary_convolution_2d(
        x, W, b=None, stride=1, pad=0, dilate=1, groups=1, pad_value=0,
        binarize: Callable | None = function_binarize.binarize
        ) -> chainer.Variable:
    r"""Convolution whose weights are binarized first.

    Chainer's convolution of ``x`` with ``binarize(W)``.  The gradient of the
    binary weight goes to the latent weight ``W`` as the binarizer says.

    A padding with 0 adds a third value to a binary input.  A padding with 1
    is the sign of 0: then every operand of the convolution is +1 or -1.

    Args:
        x (~chainer.Variable or array): Images, (batch, channels, h, w);
            float16, 32 or 64.
        W (~chainer.Variable or array): Latent weights, (filters,
            channels / groups, kh, kw), of the dtype of ``x``.
        b (~chainer.Variable or array): Bias, (filters,), added as it is.
        stride (int or pair of ints): Step of the filter.
        pad (int or pair of ints): Width of the padding, (h, w).
        dilate (int or pair of ints): Distance of the filter's elements.
        groups (int): Groups of channels that do not see each other.
        pad_value (int): What the padding is: 0 or 1.
        binarize (callable or None): Makes binary weights of latent ones:
            signs, or signs times one scale for each filter.  With ``None``
            the latent weights are taken as they are.

    Returns:
        ~chainer.Variable: (batch, filters, h_out, w_out), of the dtype of
        ``x``.

    Raises:
        ValueError: If ``pad_value`` is another.
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    check_pad_value(pad_value)
    if x.dtype != W.dtype:
        raise type_check.InvalidType(
            'x.dtype == W.dtype', f'{x.dtype} != {W.dtype}')
    if binarize is None:
        kind = function_convolution_2d.Convolution2DFunction
    else:
        kind, W = BinaryConvolution2DFunction, binarize(W)
    if pad_value == 1:
        pad_h, pad_w = pad if hasattr(pad, '__getitem__') else (pad, pad)
        x = F.pad(x, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)),
                  'constant', constant_values=1)
        pad = 0
    function = kind(stride, pad, dilate=dilate, groups=groups)
    return function.apply((x, W) if b is None else (x, W, b))[0]


def check_pad_value(pad_value: int):
    """Raises ValueError for a padding that is neither 0 nor 1."""
    if pad_value not in (0, 1):
        raise ValueError(f'pad_value must be 0 or 1, not {pad_value!r}')
