"""Binary weights with a gradient to the latent ones, for any operation."""
import chainer
import chainer.functions as F
import numpy
from chainer import backend
from chainer import function_node
from chainer.utils import type_check

from bnn import kernels


class Binarize(function_node.FunctionNode):

    """Signs with the identity as gradient; see :func:`binarize`."""

    def __init__(self, function):
        super().__init__()
        self._function = function

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('W',))
        type_check.expect(in_types[0].dtype.kind == 'f')

    def forward(self, inputs):
        W, = inputs
        return self._function(W),

    def backward(self, indexes, grad_outputs):
        return grad_outputs


class ScaledBinarize(function_node.FunctionNode):

    """Signs times a scale per filter; see :func:`scaled_binarize`."""

    def __init__(self, straight_through=False):
        super().__init__()
        self._straight_through = straight_through

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('W',))
        type_check.expect(in_types[0].dtype.kind == 'f',
                          in_types[0].ndim >= 2)

    def forward(self, inputs):
        self.retain_inputs((0,))
        W, = inputs
        return kernels.binarize(W) * _scale(W),

    def backward(self, indexes, grad_outputs):
        if self._straight_through:
            return grad_outputs
        W = self.get_retained_inputs()[0].array
        g, = grad_outputs
        sign = kernels.binarize(W)
        # The mean over a filter, in float32 at least: a sum in float16
        # overflows.
        wide = numpy.promote_types(W.dtype, numpy.float32)
        products = F.cast(g * sign, wide)
        through_scale = F.cast(F.mean(
            products, axis=_filter_axes(W), keepdims=True), W.dtype)
        through_sign = kernels.ste_gradient(
            W, backend.get_array_module(W).broadcast_to(_scale(W), W.shape))
        return (F.broadcast_to(through_scale, W.shape) * sign
                + g * through_sign),


def _filter_axes(W):
    return tuple(range(1, W.ndim))


def _scale(W):
    wide = numpy.promote_types(W.dtype, numpy.float32)
    return abs(W).mean(axis=_filter_axes(W), keepdims=True, dtype=wide).astype(
        W.dtype, copy=False)


def binarize(W, stochastic=False):
    """Signs of weights, +-1, whose gradient goes to the latent weights as is.

    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Algorithm 1.)

    Args:
        W (~chainer.Variable or array): Latent weights, any shape; float16,
            32 or 64.
        stochastic (bool): If ``True``, while ``chainer.config.train`` is on,
            the signs are drawn, see :func:`bnn.kernels.stochastic_binarize`.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``W``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``W`` is not of a floating
            point dtype.
    """
    function = (kernels.stochastic_binarize
                if stochastic and chainer.config.train else kernels.binarize)
    return Binarize(function).apply((W,))[0]


def scaled_binarize(W, straight_through=False):
    r"""Signs of weights times the mean size of their filter, as in XNOR-Net.

    .. math::

        \tilde W_i = \alpha \, \mathrm{sign}(W_i), \qquad
        \alpha = \frac{1}{n} \sum_j |W_j|, \qquad
        \frac{\partial C}{\partial W_i} =
        \frac{\mathrm{sign}(W_i)}{n} \sum_j g_j \, \mathrm{sign}(W_j)
        + g_i \, \alpha \, 1_{|W_i| \le 1}

    over the ``n`` weights of an output filter, with
    :math:`g = \partial C / \partial \tilde W`
    (`XNOR-Net <https://arxiv.org/abs/1603.05279>`_, section 3.1; the
    gradient is the corrected one of XNOR-Net-PyTorch's notes, which sums over
    the filter where the paper has :math:`g_i / n`).

    Args:
        W (~chainer.Variable or array): Latent weights, (filters, ...), 2 or
            more dimensions; float16, 32 or 64.
        straight_through (bool): If ``True``, the gradient is ``g`` as it is,
            like that of :func:`binarize`.

    Returns:
        ~chainer.Variable: Of the shape and dtype of ``W``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``W`` is not of a floating
            point dtype, or has less than 2 dimensions.
    """
    return ScaledBinarize(straight_through).apply((W,))[0]
