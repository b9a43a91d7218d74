"""Batch normalization, sign and binary convolution in one operation."""
import functools
from collections.abc import Callable

import chainer
import chainer.functions as F
import numpy
from chainer.utils import type_check

import bst
from bnn.chainer_ops import function_batch_normalization
from bnn.chainer_ops import function_relu
from bnn.chainer_ops import link_batch_normalization
from bnn.kernels import batch_norm
from zoo.binarynet import function_binarize
from zoo.binarynet import function_binary_convolution_2d
from zoo.binarynet import function_normalized_sign


class NormalizedSignConvolution(
        function_batch_normalization.BatchNormalization):
    """Convolution of normalized signs; see
    :func:`normalized_sign_convolution`.

    It keeps its inputs, the statistics and the signs in bits.
    """

    def __init__(self, convolution: (
            function_binary_convolution_2d.BinaryConvolution2DFunction),
            rectify: bool, eps: float):
        super().__init__(eps)
        self.convolution = convolution
        self.rectify = rectify

    def check_type_forward(self, in_types):
        super().check_type_forward(in_types)
        x, W = in_types[0], in_types[3]
        type_check.expect(W.dtype == x.dtype, W.shape[1] == x.shape[1])
        for b in in_types[4:]:
            type_check.expect(
                b.dtype == x.dtype, b.ndim == 1, b.shape[0] == W.shape[0])

    def forward_cpu(self, inputs):
        x, gamma, beta, W, *b = inputs
        self.retain_inputs((0, 1, 2, 3))
        self._packed, self.mean, self.var, self.inv_std = (
            batch_norm.packed_signs(x, gamma, beta, self.eps,
                                    self.convolution.geometry[1],
                                    self.rectify))
        return self.convolution.convolve_signs(self._packed, W, *b),

    def backward(self, indexes, grad_outputs):
        inputs = self.get_retained_inputs()
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            b = chainer.Variable(numpy.zeros(len(inputs[3]), inputs[0].dtype))
            y = self.by_functions(*inputs, b)
            return chainer.grad(
                [y], [(*inputs, b)[i] for i in indexes], grad_outputs,
                enable_double_backprop=True)
        gy = grad_outputs[0].array
        x, gamma, beta, W = (v.array for v in inputs)
        gW, gb = self.convolution.filter_gradient(
            self._packed, gy, W.shape[2:])
        gsigns = self.convolution.input_gradient(gy, W, x.shape[2:])
        gradients = (*batch_norm.normalized_signs_gradient(
            x, gsigns, gamma, beta, self.mean, self.inv_std, self.rectify),
            gW, gb)
        return [chainer.as_variable(gradients[i]) for i in indexes]

    def by_functions(self, x, gamma, beta, W, b):
        stride, pad, dilate = self.convolution.geometry
        if self.rectify:
            x = function_relu.relu(x)
        return F.convolution_2d(
            bst.bst(super().by_functions(x, gamma, beta)), W, b, stride, pad,
            dilate=dilate)


def normalized_sign_convolution(
        x, bn: link_batch_normalization.BatchNormalization, W, b=None,
        stride=1, pad=0, dilate=1, groups=1, pad_value=0,
        binarize: Callable | None = function_binarize.binarize,
        rectify: bool = False) -> chainer.Variable:
    """Batch normalization, sign, and a binary convolution.

    It is ``binary_convolution_2d(normalized_sign(x, bn), W, b, ...)``: the
    same bits, and so are the gradients.  In training on a CPU the signs are
    written as bits at once, and never as floats.  A hook on ``bn`` is given
    the result of the convolution then, and ``x`` before ReLU.

    In test mode, over ranks, on a GPU, for other dtypes than float32, for
    groups, for a padding of 1 and without ``binarize`` it is the two.  Double
    backward is supported.

    Args:
        x (~chainer.Variable or array): (batch, channels, h, w), of a float
            dtype.
        bn: The layer of batch normalization, which updates its running
            averages.
        W, b, stride, pad, dilate, groups, pad_value, binarize: See
            :mod:`zoo.binarynet.function_binary_convolution_2d`.
        rectify: Whether ReLU comes first: ``relu(x)`` is normalized then, and
            in training on a CPU it is neither written nor kept.

    Returns:
        ~chainer.Variable: (batch, filters, h_out, w_out), of the dtype of
        ``x``.

    Raises:
        ValueError: If ``pad_value`` is neither 0 nor 1.
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
    """
    function_binary_convolution_2d.check_pad_value(pad_value)
    function = function_binary_convolution_2d.BinaryConvolution2DFunction(
        stride, pad, dilate=dilate)
    if (binarize is None or groups != 1 or pad_value != 0
            or not x.ndim == W.ndim == 4
            or not x.dtype == W.dtype == numpy.float32
            or not bn.is_trained_by_kernels(x)
            or not function.has_output(x, W)):
        if rectify:
            x = function_relu.relu(x)
        return function_binary_convolution_2d.binary_convolution_2d(
            function_normalized_sign.normalized_sign(x, bn), W, b, stride,
            pad, dilate, groups, pad_value, binarize)
    W = binarize(W)
    return bn(x, operation=functools.partial(
        function_batch_normalization.apply,
        functools.partial(NormalizedSignConvolution, function, rectify),
        operands=(W,) if b is None else (W, b)))
