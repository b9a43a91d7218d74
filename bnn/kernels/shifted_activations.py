"""Activations with learned shifts: RSign and RPReLU.  NumPy, float32 or 64.

Images are (n, channels, ...), and each channel has its own parameters.  Each
function is one pass over memory, plane by plane: what one loop leaves of a
plane is in the cache for the next.  Planes of one element are computed too,
but slowly.  Gradients of parameters are sums of float64 of each plane, which
are added in the order of the images.
"""
import math

import numba
import numpy

from bnn.kernels import elementwise
from bnn.kernels import threads

#: Names of the gradients of the sign.
SURROGATES = 'ste', 'approx-sign', 'swish-sign'


def shifted_signs(x: numpy.ndarray, alpha: numpy.ndarray) -> numpy.ndarray:
    """Computes ``+1 if x - alpha >= 0 else -1``.

    (`ReActNet <https://arxiv.org/abs/2003.03488>`_, Eq. (4).)  NaN gives -1.

    Args:
        x: (n, channels, ...), float32 or 64.
        alpha: (channels,), of the dtype of ``x``.

    Returns:
        +1 and -1, of the shape and dtype of ``x``.
    """
    y = numpy.empty(x.shape, x.dtype)
    _shifted_signs(x.size, _planes(x), alpha, _planes(y))
    return y


def shifted_signs_gradient(
        x: numpy.ndarray, alpha: numpy.ndarray, gy: numpy.ndarray,
        surrogate: str) -> tuple[numpy.ndarray, numpy.ndarray]:
    r"""Computes the gradients of :func:`shifted_signs`.

    .. math::

        g_x = g_y s(x - \alpha), \qquad g_\alpha = -\sum g_x

    with the slope ``s`` of a surrogate.

    Args:
        x: Input of the forward computation.
        alpha: As of the forward computation.
        gy: Gradient of its result, of the shape and dtype of ``x``.
        surrogate: The gradient of the sign: ``'ste'``,
            :func:`~bnn.kernels.elementwise.ste_gradient`; ``'approx-sign'``,
            :func:`~bnn.kernels.elementwise.approx_sign_gradient`;
            ``'swish-sign'``,
            :func:`~bnn.kernels.elementwise.swish_sign_gradient`.

    Returns:
        Gradients of ``x`` and ``alpha``.
    """
    gx = numpy.empty(x.shape, x.dtype)
    galpha = numpy.empty(len(alpha), x.dtype)
    _shifted_signs_gradient(
        x.size, _planes(x), alpha, _planes(gy), SURROGATES.index(surrogate),
        _planes(gx), galpha)
    return gx, galpha


def rprelu(x: numpy.ndarray, gamma: numpy.ndarray, beta: numpy.ndarray,
           zeta: numpy.ndarray) -> numpy.ndarray:
    """Computes PReLU between two shifts.

    ``y = (v if v >= 0 else beta * v) + zeta`` with ``v = x - gamma``
    (`ReActNet <https://arxiv.org/abs/2003.03488>`_, Eq. (5)).

    Args:
        x: (n, channels, ...), float32 or 64.
        gamma: (channels,), of the dtype of ``x``.
        beta: As ``gamma``.
        zeta: As ``gamma``.

    Returns:
        Of the shape and dtype of ``x``.
    """
    y = numpy.empty(x.shape, x.dtype)
    _rprelu(x.size, _planes(x), gamma, beta, zeta, _planes(y))
    return y


def rprelu_gradient(
        x: numpy.ndarray, gamma: numpy.ndarray, beta: numpy.ndarray,
        gy: numpy.ndarray) -> tuple[numpy.ndarray, ...]:
    r"""Computes the gradients of :func:`rprelu`.

    .. math::

        g_x = \begin{cases} g_y & v \ge 0 \\ \beta g_y & v < 0
        \end{cases}, \quad
        g_\gamma = -\sum g_x, \quad g_\beta = \sum_{v < 0} v g_y, \quad
        g_\zeta = \sum g_y

    Args:
        x: Input of the forward computation.
        gamma: As of the forward computation.
        beta: As ``gamma``.
        gy: Gradient of its result, of the shape and dtype of ``x``.

    Returns:
        Gradients of ``x``, ``gamma``,
        ``beta`` and ``zeta``.
    """
    gx = numpy.empty(x.shape, x.dtype)
    gradients = numpy.empty((3, len(gamma)), x.dtype)
    _rprelu_gradient(x.size, _planes(x), gamma, beta, _planes(gy),
                     _planes(gx), gradients)
    return gx, *gradients


def _planes(x):
    # The product, because reshape cannot tell -1 for an empty batch
    return numpy.ascontiguousarray(x).reshape(
        *x.shape[:2], math.prod(x.shape[2:]))


@threads.Kernel
def _shifted_signs(x, alpha, y):
    for i in numba.prange(len(x)):
        for c in range(x.shape[1]):
            _signs_of_plane(x[i, c], alpha[c], y[i, c])


@numba.njit(error_model='numpy')
def _signs_of_plane(x, alpha, y):
    one = x.dtype.type(1)
    for i in range(len(x)):
        y[i] = one if x[i] - alpha >= 0 else -one


@threads.Kernel
def _shifted_signs_gradient(x, alpha, gy, surrogate, gx, galpha):
    sums = numpy.empty(x.shape[:2])
    for i in numba.prange(len(x)):
        for c in range(x.shape[1]):
            _slopes_of_plane(x[i, c], alpha[c], gy[i, c], surrogate, gx[i, c])
            sums[i, c] = _sum(gx[i, c])
    for c in range(len(galpha)):
        galpha[c] = -_in_order(sums[:, c])


@numba.njit(error_model='numpy')
def _slopes_of_plane(x, alpha, gy, surrogate, gx):
    zero, beta = x.dtype.type(0), x.dtype.type(elementwise.SWISH_BETA)
    if surrogate == 0:
        for i in range(len(x)):
            gx[i] = gy[i] if abs(x[i] - alpha) <= 1 else zero
    elif surrogate == 1:
        for i in range(len(x)):
            size = abs(x[i] - alpha)
            gx[i] = gy[i] * elementwise.approx_sign_slope(size) if (
                size <= 1) else zero
    else:
        for i in range(len(x)):
            z = abs(beta * (x[i] - alpha))
            gx[i] = gy[i] * elementwise.swish_sign_slope(
                z, numpy.exp(-z), beta) if z < 80 else zero


@threads.Kernel
def _rprelu(x, gamma, beta, zeta, y):
    for i in numba.prange(len(x)):
        for c in range(x.shape[1]):
            _rprelu_of_plane(x[i, c], gamma[c], beta[c], zeta[c], y[i, c])


@numba.njit(error_model='numpy')
def _rprelu_of_plane(x, gamma, beta, zeta, y):
    for i in range(len(x)):
        v = x[i] - gamma
        y[i] = (v if v >= 0 else v * beta) + zeta


@threads.Kernel
def _rprelu_gradient(x, gamma, beta, gy, gx, gradients):
    sums = numpy.empty((3, *x.shape[:2]))
    for i in numba.prange(len(x)):
        for c in range(x.shape[1]):
            _rprelu_gradient_of_plane(
                x[i, c], gamma[c], beta[c], gy[i, c], gx[i, c])
            sums[0, i, c] = -_sum(gx[i, c])
            sums[1, i, c] = _sum_below(x[i, c], gamma[c], gy[i, c])
            sums[2, i, c] = _sum(gy[i, c])
    for k in range(3):
        for c in range(len(gamma)):
            gradients[k, c] = _in_order(sums[k, :, c])


@numba.njit(error_model='numpy')
def _rprelu_gradient_of_plane(x, gamma, beta, gy, gx):
    for i in range(len(x)):
        gx[i] = gy[i] if x[i] - gamma >= 0 else gy[i] * beta


@threads.add_in_any_order
def _sum_below(x, gamma, gy):
    total = 0.
    for i in range(len(x)):
        total += _below(x[i], gamma, gy[i])
    return total


# Without fastmath: the bits of v decide.
@numba.njit(error_model='numpy')
def _below(x, gamma, gy):
    v = x - gamma
    return type(gy)(0) if v >= 0 else v * gy


@threads.add_in_any_order
def _sum(x):
    total = 0.
    for i in range(len(x)):
        total += x[i]
    return total


@numba.njit(error_model='numpy')
def _in_order(sums):
    total = 0.
    for i in range(len(sums)):
        total += sums[i]
    return total
