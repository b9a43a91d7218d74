"""Linear operation on binarized weights."""
import math

import chainer
import chainer.functions as F
from chainer import function_node
from chainer.functions.connection import linear
from chainer.utils import type_check

import bst
from bnn import kernels
from zoo.binarynet import function_binarize


class BinaryLinearFunction(function_node.FunctionNode):

    """Binarizes W and applies it; see :func:`binary_linear`.

    Args:
        draw (callable or None): Takes an array, returns random signs; by
            default they are not random.
        of_signs (bool): Whether the input is +1 and -1 alone.
    """

    def __init__(self, draw=None, of_signs=False):
        super().__init__()
        self._draw = draw
        self._of_signs = of_signs

    def check_type_forward(self, in_types):
        n_in = type_check.eval(in_types.size())
        type_check.expect(in_types.size() >= 2, in_types.size() <= 3)
        type_check._argname(in_types, ('x', 'W', 'b')[:n_in])
        x, W = in_types[:2]
        type_check.expect(
            x.dtype.kind == 'f', W.dtype == x.dtype, x.ndim == 2, W.ndim == 2)
        type_check.expect(x.shape[1] == W.shape[1])
        if n_in == 3:
            b = in_types[2]
            type_check.expect(b.dtype == x.dtype, b.ndim == 1)
            type_check.expect(b.shape[0] == W.shape[0])

    def forward(self, inputs):
        x, W = inputs[:2]
        self.retain_inputs((0, 1))
        # Kept for backward, which needs the same signs again.
        self._W = (kernels.signs(self._draw(W), is_binary=True)
                   if self._draw else kernels.signs(W))
        if self._of_signs:
            self._x = x = kernels.signs(x, is_binary=True)
        y = self._W.apply(x)
        if len(inputs) == 3:
            y += inputs[2]
        return y,

    def backward(self, indexes, grad_outputs):
        x, W = self.get_retained_inputs()
        gy, = grad_outputs
        if not chainer.config.enable_backprop:  # nobody differentiates this
            gy = gy.array
            gradients = (
                lambda: self._W.apply_transposed(gy),
                lambda: (self._x.apply_transposed(gy.T) if self._of_signs
                         else kernels.weight_gradient(gy, x.array)),
                lambda: gy.sum(axis=0))
            return [chainer.as_variable(gradients[i]()) for i in indexes]
        ret = []
        if 0 in indexes:
            binary_W, = _StraightThrough(self._W.array).apply((W,))
            ret.append(F.matmul(gy, binary_W))
        if 1 in indexes:
            ret.append(F.matmul(gy, x, transa=True))
        if 2 in indexes:
            ret.append(F.sum(gy, axis=0))
        return ret


class _StraightThrough(function_node.FunctionNode):

    """A value that was computed from W, with the identity as gradient.

    It ties the signs to W in the graph of the backward pass, so that double
    backward goes through the estimator.
    """

    def __init__(self, value):
        super().__init__()
        self._value = value

    def forward(self, inputs):
        return self._value,

    def backward(self, indexes, grad_outputs):
        return grad_outputs


class _ScaledLinear(linear.LinearFunction):

    """Chainer's linear operation, where x and W / abs(W) are signs.

    The scale of an output comes after the exact sum.
    """

    def forward(self, inputs):
        x, W = inputs[:2]
        self.retain_inputs((0, 1))
        y = kernels.sign_product(x, W)
        y *= abs(W[:, 0])
        if len(inputs) == 3:
            y += inputs[2]
        return y,


def binary_linear(x, W, b=None, stochastic=False, scaled=False):
    r"""Linear operation whose weights are binarized first.

    .. math::

        y = x \, \mathrm{sign}(W)^T + b, \qquad
        \frac{\partial C}{\partial W} :=
        \frac{\partial C}{\partial\, \mathrm{sign}(W)} =
        \left(\frac{\partial C}{\partial y}\right)^T x

    with ``sign(0) = +1``.  The gradient of the binary weight goes to the
    latent weight ``W`` as it is, without a mask
    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Algorithm 1); clip the
    latent weights after each update with
    :class:`~weight_clip.WeightClip`.  Double backward takes the same
    estimator for the derivative of the sign.

    An input that is known to be +-1 (:func:`bst.is_binary`) is multiplied by
    XNOR and popcount, :func:`bnn.kernels.sign_product`: the same result.

    Args:
        x (~chainer.Variable or array): Input, (batch, ...), 2 to N
            dimensions; flattened from axis 1.  float16, 32 or 64.
        W (~chainer.Variable or array): Latent weights, (out_size, in_size),
            of the dtype of ``x``.
        b (~chainer.Variable or array): Bias, (out_size,), added as it is.
        stochastic (bool): If ``True``, while ``chainer.config.train`` is on,
            the weights are drawn: +1 with probability
            clip((W + 1) / 2, 0, 1) (Eq. (2)), -1 otherwise.
        scaled (bool or str): If ``True``, the signs are scaled per output and
            have another gradient, see
            :func:`~zoo.binarynet.function_binarize.scaled_binarize`; if ``'ste'``, they are
            scaled and keep this one.

    Returns:
        ~chainer.Variable: (batch, out_size), of the dtype of ``x``.

    Raises:
        chainer.utils.type_check.InvalidType: If dtypes or shapes do not fit.
        ValueError: If the weights were to be scaled and drawn.

    .. rubric:: Example

    >>> x = numpy.array([[1., 2., 3.]], 'f')
    >>> W = numpy.array([[0.3, -0.1, 0.]], 'f')
    >>> binary_linear(x, W).array
    array([[2.]], dtype=float32)
    """
    of_signs = bst.is_binary(x)
    x = flatten(x)
    args = (W,) if b is None else (W, b)
    if scaled:
        if stochastic:
            raise ValueError('scaled weights cannot be stochastic')
        if x.dtype != W.dtype:
            raise type_check.InvalidType(
                'x.dtype == W.dtype', '%s != %s' % (x.dtype, W.dtype))
        W = function_binarize.scaled_binarize(W, scaled == 'ste')
        if of_signs:
            return _ScaledLinear().apply((x, W, *args[1:]))[0]
        return F.linear(x, W, b)
    draw = (kernels.stochastic_binarize
            if stochastic and chainer.config.train else None)
    return BinaryLinearFunction(draw, of_signs).apply((x, *args))[0]


def flatten(x):
    """Flattens a batch from axis 1.

    Args:
        x (~chainer.Variable or array): (batch, ...).

    Returns:
        ~chainer.Variable or array: (batch, inputs); ``x`` itself up to 2
        dimensions.
    """
    if x.ndim <= 2:
        return x
    # The product, not -1, which reshape cannot tell for an empty batch.
    return x.reshape(len(x), math.prod(x.shape[1:]))
