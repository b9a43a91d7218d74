"""Two-dimensional convolution on binarized weights."""
import chainer.functions as F
import numpy
from chainer.functions.connection import convolution_2d
from chainer.utils import type_check

import bst
from bnn import kernels
from zoo.binarynet import function_binarize


class _OfSigns(convolution_2d.Convolution2DFunction):

    """Chainer's convolution, where x and W / abs(W) are signs.

    The scale of a filter comes after the exact sum.
    """

    def forward_cpu(self, inputs):
        x, W = inputs[:2]
        if self.groups > 1 or x.dtype not in (numpy.float32, numpy.float64):
            return super().forward_cpu(inputs)
        self.retain_inputs((0, 1))
        self._get_out_size(x.shape, W.shape)  # checks it
        y = kernels.sign_convolution(
            x, W, (self.sy, self.sx), (self.ph, self.pw), (self.dy, self.dx))
        y *= abs(W[:, :1, 0, 0, None])
        if len(inputs) == 3:
            y += inputs[2][:, None, None]
        return y,


def binary_convolution_2d(x, W, b=None, stride=1, pad=0, dilate=1, groups=1,
                          pad_value=0, scaled=False, stochastic=False):
    r"""Convolution whose weights are binarized first.

    Chainer's convolution on :func:`~zoo.binarynet.function_binarize.binarize` or
    :func:`~zoo.binarynet.function_binarize.scaled_binarize` of ``W``, with the gradient
    described there.

    The padding of a binary input is a third value where it is 0.  With 1 it
    is the sign of 0, and every operand of the convolution is +-1.

    On the CPU an input that is known to be +-1 (:func:`bst.is_binary`) is
    convolved by XNOR and popcount, :func:`bnn.kernels.sign_convolution`.

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
        scaled (bool or str): Whether the signs are scaled per filter;
            ``'ste'``: with the plain straight-through gradient.
        stochastic (bool): Whether training draws the signs.

    Returns:
        ~chainer.Variable: (batch, filters, h_out, w_out).

    Raises:
        ValueError: If ``pad_value`` is another, or the weights were to be
            scaled and drawn.
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    check_options(pad_value, scaled, stochastic)
    if x.dtype != W.dtype:
        raise type_check.InvalidType(
            'x.dtype == W.dtype', '%s != %s' % (x.dtype, W.dtype))
    of_signs = bst.is_binary(x)
    if scaled:
        W = function_binarize.scaled_binarize(W, scaled == 'ste')
    else:
        W = function_binarize.binarize(W, stochastic)
    if pad_value == 1:
        pad_h, pad_w = pad if hasattr(pad, '__getitem__') else (pad, pad)
        x = F.pad(x, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)),
                  'constant', constant_values=1)
        pad = 0
    if of_signs:
        function = _OfSigns(stride, pad, dilate=dilate, groups=groups)
        return function.apply((x, W) if b is None else (x, W, b))[0]
    return F.convolution_2d(
        x, W, b, stride, pad, dilate=dilate, groups=groups)


def check_options(pad_value, scaled, stochastic):
    """Raises ValueError for options of a binary convolution that clash."""
    if pad_value not in (0, 1):
        raise ValueError('pad_value must be 0 or 1, not %r' % (pad_value,))
    if scaled and stochastic:
        raise ValueError('scaled weights cannot be stochastic')
