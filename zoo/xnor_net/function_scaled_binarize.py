"""Scaled binary weights of XNOR-Net, for any operation."""
import chainer
import chainer.functions as F
import numpy
from chainer import backend
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import elementwise
from bnn.kernels import scaled_signs


class ScaledBinarize(function_node.FunctionNode):
    """Signs times a scale per filter; see :func:`scaled_binarize`."""

    def __init__(self, straight_through=False):
        super().__init__()
        self.straight_through = straight_through

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('W',))
        type_check.expect(in_types[0].dtype.kind == 'f',
                          in_types[0].ndim >= 2)

    def forward(self, inputs):
        self.retain_inputs((0,))
        W, = inputs
        if _is_fast(W):
            return scaled_signs.scaled_binarize(W),
        return elementwise.binarize(W) * _scale(W),

    def backward(self, indexes, grad_outputs):
        if self.straight_through:
            return grad_outputs
        W = self.get_retained_inputs()[0].array
        g, = grad_outputs
        if not chainer.config.enable_backprop and _is_fast(W):
            return chainer.as_variable(
                scaled_signs.scaled_binarize_gradient(W, g.array)),
        sign = elementwise.binarize(W)
        # The mean over a filter is of float32 at least: a sum in float16
        # overflows.
        wide = numpy.promote_types(W.dtype, numpy.float32)
        products = F.cast(g * sign, wide)
        through_scale = F.cast(F.mean(
            products, axis=_filter_axes(W), keepdims=True), W.dtype)
        through_sign = elementwise.ste_gradient(
            W, backend.get_array_module(W).broadcast_to(_scale(W), W.shape))
        return (F.broadcast_to(through_scale, W.shape) * sign
                + g * through_sign),


def _is_fast(W):
    return (isinstance(W, numpy.ndarray) and W.size
            and W.dtype in (numpy.float32, numpy.float64))


def _filter_axes(W):
    return tuple(range(1, W.ndim))


def _scale(W):
    wide = numpy.promote_types(W.dtype, numpy.float32)
    return abs(W).mean(axis=_filter_axes(W), keepdims=True, dtype=wide).astype(
        W.dtype, copy=False)


def scaled_binarize(W, straight_through: bool = False) -> chainer.Variable:
    r"""Signs of weights times the mean size of their filter.

    .. math::

        \tilde W_i = \alpha \, \mathrm{sign}(W_i), \qquad
        \alpha = \frac{1}{n} \sum_j |W_j|, \qquad
        \frac{\partial C}{\partial W_i} =
        \frac{\mathrm{sign}(W_i)}{n} \sum_j g_j \, \mathrm{sign}(W_j)
        + g_i \, \alpha \, 1_{|W_i| \le 1}

    over the ``n`` weights of an output filter, with
    :math:`g = \partial C / \partial \tilde W` and ``sign(0) = +1``
    (`XNOR-Net <https://arxiv.org/abs/1603.05279>`_, section 3.1).  The
    gradient is the corrected one of XNOR-Net-PyTorch's notes, which sums over
    the filter where the paper has :math:`g_i / n`.

    Args:
        W (~chainer.Variable or array): Latent weights, (filters, ...), 2 or
            more dimensions; float16, 32 or 64.
        straight_through (bool): If ``True``, the gradient is ``g`` as it is,
            like that of :func:`zoo.binarynet.function_binarize.binarize`.

    Returns:
        ~chainer.Variable: Of the shape and dtype of ``W``.

    Raises:
        chainer.utils.type_check.InvalidType: If ``W`` is not of a floating
            point dtype, or has less than 2 dimensions.
    """
    return ScaledBinarize(straight_through).apply((W,))[0]
