"""Max-pooling in one pass."""
import chainer
import chainer.functions as F
import numpy
from chainer import function_node
from chainer.utils import conv
from chainer.utils import type_check

from bnn import kernels


class MaxPooling2D(function_node.FunctionNode):

    """Takes the largest of each window; see :func:`max_pooling_2d`."""

    def __init__(self, ksize, stride, cover_all):
        super().__init__()
        self.ksize = ksize
        self.stride = stride
        self.cover_all = cover_all

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x',))
        type_check.expect(in_types[0].dtype.kind == 'f',
                          in_types[0].ndim == 4)

    def forward(self, inputs):
        x, = inputs
        self.retain_inputs((0,))
        y, self._where = kernels.max_pool(x, self.ksize, self.stride, tuple(
            conv.get_conv_outsize(size, k, s, 0, self.cover_all)
            for size, k, s in zip(
                x.shape[2:], self.ksize, self.stride, strict=True)))
        return y,

    def backward(self, indexes, grad_outputs):
        x, = self.get_retained_inputs()
        gy, = grad_outputs
        if chainer.config.enable_backprop:  # a gradient of this is wanted
            y = F.max_pooling_2d(
                x, self.ksize, self.stride, cover_all=self.cover_all)
            return chainer.grad([y], [x], [gy], enable_double_backprop=True)
        return chainer.as_variable(kernels.max_pool_gradient(
            gy.array, self._where, x.shape[2:])),


def max_pooling_2d(x, ksize, stride=None, cover_all=True):
    """Largest value of each window of an image.

    As :func:`chainer.functions.max_pooling_2d` without padding, to the bit;
    on the CPU without a copy of each window.  Where windows leave gaps, or
    elsewhere than on NumPy arrays of float32 or 64, it is Chainer's.

    Args:
        x (~chainer.Variable or array): Images, (batch, channels, h, w), of a
            float dtype.
        ksize (int): Side of a window.
        stride (int or None): Distance of the windows; ``ksize`` by default.
        cover_all (bool): Whether windows that reach over the edge count.

    Returns:
        ~chainer.Variable: (batch, channels, h_out, w_out).

    Raises:
        chainer.utils.type_check.InvalidType: If ``x`` is no such array.
    """
    stride = ksize if stride is None else stride
    array = chainer.as_array(x)
    if (type(array) is not numpy.ndarray or array.ndim != 4
            or array.dtype not in (numpy.float32, numpy.float64)
            or not array.size or stride > ksize
            or min(array.shape[2:]) < ksize):
        return F.max_pooling_2d(x, ksize, stride, cover_all=cover_all)
    function = MaxPooling2D((ksize,) * 2, (stride,) * 2, cover_all)
    return function.apply((x,))[0]
