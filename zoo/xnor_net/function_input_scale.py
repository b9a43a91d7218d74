"""Scale of a binary operation's input, XNOR-Net's K and beta."""
import chainer
import chainer.functions as F

import function_binary_linear


def input_scale(x, ksize, stride=1, pad=0, dilate=1) -> chainer.Variable:
    r"""Mean size of what a convolution sees at each place of its input.

    .. math::

        A = \frac{1}{c} \sum_i |x_i|, \qquad
        K = A * k, \qquad k_{ij} = \frac{1}{k_h k_w}

    over the ``c`` channels.  ``K`` times the convolution of ``sign(x)``
    approximates the convolution of ``x`` (`XNOR-Net
    <https://arxiv.org/abs/1603.05279>`_, section 3.2).  The padding counts as
    0.  All groups share the mean over all channels.  The gradient flows
    through the scale to ``x``.

    Args:
        x (~chainer.Variable or array): Images before the sign, (batch,
            channels, h, w); float16, 32 or 64.
        ksize, stride, pad, dilate (int or pair of ints): Those of the
            convolution.

    Returns:
        ~chainer.Variable: (batch, 1, h_out, w_out), of the dtype of ``x``.
    """
    A = F.mean(F.absolute(x), axis=1, keepdims=True)
    kh, kw = ksize if hasattr(ksize, '__getitem__') else (ksize, ksize)
    box = A.xp.full((1, 1, kh, kw), 1 / (kh * kw), A.dtype)
    return F.convolution_2d(A, box, None, stride, pad, dilate=dilate)


def linear_input_scale(x) -> chainer.Variable:
    r"""Mean size of each example: :func:`input_scale` for a linear layer.

    :math:`\beta = \frac{1}{n} \sum_i |x_i|` over the ``n`` inputs (`XNOR-Net
    <https://arxiv.org/abs/1603.05279>`_, section 3.2).  The gradient flows
    through the scale to ``x``.

    Args:
        x (~chainer.Variable or array): Before the sign, (batch, ...),
            flattened from axis 1; float16, 32 or 64.

    Returns:
        ~chainer.Variable: (batch, 1), of the dtype of ``x``.
    """
    return F.mean(F.absolute(function_binary_linear.flatten(x)), axis=1,
                  keepdims=True)
