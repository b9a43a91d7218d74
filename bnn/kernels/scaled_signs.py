"""Signs of filters times a scale for each, as in XNOR-Net.  NumPy."""
import numba
import numpy

from bnn.kernels import threads


def scaled_binarize(W: numpy.ndarray) -> numpy.ndarray:
    """Computes the signs of filters times the mean size of their weights.

    Args:
        W: float32 or float64 (filters, ...), of at least one weight each.

    Returns:
        Of the shape and dtype of ``W``.
    """
    W = numpy.ascontiguousarray(W)
    y = numpy.empty_like(W)
    _scaled_binarize(W.size, W.reshape(len(W), -1), y.reshape(len(W), -1))
    return y


def scaled_binarize_gradient(W: numpy.ndarray, g: numpy.ndarray
                             ) -> numpy.ndarray:
    r"""Computes the gradient of :func:`scaled_binarize`.

    .. math::

        \frac{\mathrm{sign}(W_i)}{n} \sum_j g_j \, \mathrm{sign}(W_j)
        + g_i \, \alpha \, 1_{|W_i| \le 1}

    over the ``n`` weights of a filter, of the scale :math:`\alpha`.

    Args:
        W: As of :func:`scaled_binarize`.
        g: Gradient of the result, of the shape and dtype of ``W``.

    Returns:
        Of the shape and dtype of ``W``.
    """
    W = numpy.ascontiguousarray(W)
    gW = numpy.empty_like(W)
    _gradient(W.size, *(array.reshape(len(W), -1) for array in (
        W, numpy.ascontiguousarray(g), gW)))
    return gW


@threads.add_in_any_order
def _sums(w, g):
    size = through_sign = w.dtype.type(0)
    for i in range(w.size):
        size += abs(w[i])
        through_sign += g[i] if w[i] >= 0 else -g[i]
    return size, through_sign


@threads.Kernel
def _scaled_binarize(W, y):
    for r in numba.prange(len(W)):
        scale = _sums(W[r], W[r])[0] / W.dtype.type(W.shape[1])
        for i in range(W.shape[1]):
            y[r, i] = scale if W[r, i] >= 0 else -scale


@threads.Kernel
def _gradient(W, g, gW):
    for r in numba.prange(len(W)):
        size, through_scale = _sums(W[r], g[r])
        n = W.dtype.type(W.shape[1])
        scale, through_scale = size / n, through_scale / n
        for i in range(W.shape[1]):
            w = W[r, i]
            gW[r, i] = (through_scale if w >= 0 else -through_scale) + (
                g[r, i] * scale if abs(w) <= 1 else 0)
