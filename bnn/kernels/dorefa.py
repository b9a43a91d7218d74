"""DoReFa-Net's k-bit weights and their gradient.  NumPy."""
import numba
import numpy

from bnn.kernels import threads

_BLOCK = 4096  # weights whose part of the maximum's gradient is one sum


def dorefa(W: numpy.ndarray, n: int) -> tuple[numpy.ndarray, ...]:
    r"""Rounds weights to ``n`` + 1 levels in [-1, 1].

    .. math::

        y = \frac{2}{n} \mathrm{round}\left(n \left(
        \frac{\tanh W}{2 m} + \frac{1}{2}\right)\right) - 1, \qquad
        m = \max |\tanh W|

    (`1606.06160 <https://arxiv.org/abs/1606.06160>`_, Eq. (9)), ties to even.
    NaN where all weights are 0.

    Args:
        W: float32 or float64 of any shape, not empty.
        n: Steps in a unit, 2^k - 1.

    Returns:
        ``y`` and :math:`\tanh W`, of the shape and dtype of ``W``.
    """
    t = numpy.tanh(W, order='C')
    y = numpy.empty_like(t)
    _round(t.size, t.reshape(-1), _largest(t), t.dtype.type(n), y.reshape(-1))
    return y, t


def dorefa_gradient(t: numpy.ndarray, gy: numpy.ndarray) -> numpy.ndarray:
    r"""Computes the gradient of :func:`dorefa`, through the rounding.

    .. math::

        \left(g_i - [|t_i| = m] \, \mathrm{sign}(t_i)
        \sum_j g_j \frac{t_j}{m}\right) \frac{1 - t_i^2}{m}

    Args:
        t: The second result of :func:`dorefa`.
        gy: Gradient of the first, of the shape and dtype of ``t``.

    Returns:
        Gradient of ``W``, of the shape and dtype of ``t``.
    """
    gy = numpy.ascontiguousarray(gy).reshape(-1)
    largest = _largest(t)
    sums = numpy.empty(-(-t.size // _BLOCK), t.dtype)
    _products(t.size, t.reshape(-1), gy, sums)
    gW = numpy.empty_like(t)
    _gradient(t.size, t.reshape(-1), gy, largest, sums.sum() / largest,
              gW.reshape(-1))
    return gW


def _largest(t):
    return numpy.maximum(t.max(), -t.min())


@threads.Kernel
def _round(t, largest, n, y):
    scalar = t.dtype.type
    one, two, half = scalar(1), scalar(2), scalar(.5)
    for i in numba.prange(t.size):
        level = numpy.rint((t[i] / (two * largest) + half) * n)
        y[i] = two * (level / n) - one


@threads.add_in_any_order
def _product(t, gy):
    total = t.dtype.type(0)
    for i in range(t.size):
        total += t[i] * gy[i]
    return total


@threads.Kernel
def _products(t, gy, sums):
    for b in numba.prange(sums.size):
        block = slice(b * _BLOCK, (b + 1) * _BLOCK)
        sums[b] = _product(t[block], gy[block])


@threads.Kernel
def _gradient(t, gy, largest, through_largest, gW):
    one = t.dtype.type(1)
    for i in numba.prange(t.size):
        v = gy[i]
        if t[i] >= largest:
            v -= through_largest
        elif t[i] <= -largest:
            v += through_largest
        gW[i] = v * (one - t[i] * t[i]) / largest
