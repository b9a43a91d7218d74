"""The kernels on NumPy arrays; documented in :mod:`bnn.kernels`.

It imports those of other files too: bnn.kernels finds all of them here.
"""
import numba
import numpy

from bnn.kernels import cpu_levels
from bnn.kernels import cpu_signs
from bnn.kernels import cpu_threads
from bnn.kernels import cpu_tiles
from bnn.kernels.cpu_bits import Columns  # noqa: F401
from bnn.kernels.cpu_bits import pack  # noqa: F401
from bnn.kernels.cpu_bits import xnor_product  # noqa: F401
from bnn.kernels.cpu_convolution import sign_convolution  # noqa: F401
from bnn.kernels.cpu_norm import batch_norm  # noqa: F401
from bnn.kernels.cpu_norm import batch_norm_gradient  # noqa: F401
from bnn.kernels.cpu_norm import moving_averages  # noqa: F401
from bnn.kernels.cpu_norm import normalize  # noqa: F401
from bnn.kernels.cpu_pool import max_pool  # noqa: F401
from bnn.kernels.cpu_pool import max_pool_gradient  # noqa: F401
from bnn.kernels.cpu_signs import is_packed  # noqa: F401
from bnn.kernels.cpu_signs import is_tiled


def binarize(x):
    if _is_compiled(x):
        y = numpy.empty_like(x, order='C')
        _binarize(x.size, _flat(x), y.reshape(-1))
        return y
    # In place on one temporary: several times faster than numpy.where, which
    # makes an array of integers first.
    y = numpy.empty_like(x)
    numpy.greater_equal(x, 0, out=y, casting='unsafe')
    y += y
    y -= 1
    return y


@cpu_threads.Kernel
def _binarize(x, y):
    one = x.dtype.type(1)
    for i in numba.prange(x.size):
        y[i] = one if x[i] >= 0 else -one


def ste_gradient(x, gy, low, high):
    if _is_compiled(x) and gy.dtype == x.dtype:
        gx = numpy.empty_like(gy, order='C')
        _ste_gradient(x.size, _flat(x), _flat(gy), gx.reshape(-1),
                      *map(x.dtype.type, (low, high)))
        return gx
    # where, not a product with the mask: an infinite gy times 0 is NaN.
    inside = low <= x
    inside &= x <= high
    gx = numpy.where(inside, gy, gy.dtype.type(0))
    return gx.astype(gy.dtype, copy=False)  # where gives native byte order


@cpu_threads.Kernel
def _ste_gradient(x, gy, gx, low, high):
    for i in numba.prange(x.size):
        gx[i] = gy[i] if low <= x[i] <= high else 0


def approx_sign_gradient(x, gy):
    if _is_compiled(x) and gy.dtype == x.dtype:
        gx = numpy.empty_like(gy, order='C')
        _approx_sign_gradient(x.size, _flat(x), _flat(gy), gx.reshape(-1))
        return gx
    size = numpy.abs(x)
    with numpy.errstate(invalid='ignore', over='ignore'):  # outside [-1, 1]
        gx = gy * (2 - 2 * size)
    return numpy.where(size <= 1, gx, 0).astype(gy.dtype, copy=False)


@cpu_threads.Kernel
def _approx_sign_gradient(x, gy, gx):
    two = x.dtype.type(2)
    for i in numba.prange(x.size):
        size = abs(x[i])
        gx[i] = gy[i] * (two - two * size) if size <= 1 else 0


def swish_sign_gradient(x, gy, beta):
    if _is_compiled(x) and gy.dtype == x.dtype:
        gx = numpy.empty_like(gy, order='C')
        e = numpy.abs(_flat(x))
        with numpy.errstate(all='ignore'):
            e *= -beta
            numpy.exp(e, out=e)  # NumPy's has vectors, Numba's has not
        _swish_sign_gradient(x.size, _flat(x), _flat(gy), e, gx.reshape(-1),
                             x.dtype.type(beta))
        return gx
    # cosh would overflow in float32 soon after 80.
    z = x.astype(numpy.promote_types(x.dtype, numpy.float32))
    z = beta * numpy.clip(z, -80 / beta, 80 / beta)
    slope = beta * (2 - z * numpy.tanh(z / 2)) / (1 + numpy.cosh(z))
    with numpy.errstate(invalid='ignore', over='ignore'):
        gx = gy * slope.astype(gy.dtype)
    return numpy.where(
        numpy.abs(z) < 80, gx, 0).astype(gy.dtype, copy=False)


@cpu_threads.Kernel
def _swish_sign_gradient(x, gy, e, gx, beta):
    # With e = exp(-|z|) nothing is large: tanh(|z| / 2) = (1 - e) / (1 + e)
    # and 1 + cosh(z) = (1 + e)^2 / (2 e).
    one, two = x.dtype.type(1), x.dtype.type(2)
    for i in numba.prange(x.size):
        z = abs(beta * x[i])
        f = one + e[i]
        slope = two * beta * e[i] * (two + (two + z) * e[i] - z) / (f * f * f)
        gx[i] = gy[i] * slope if z < 80 else 0


def stochastic_binarize(x):
    # 24 bits are exact in float32; rounding up to 1 would break p = 1.
    bits = numpy.random.randint(0, 1 << 24, x.shape, numpy.uint32)
    if _is_compiled(x):
        y = numpy.empty_like(x, order='C')
        _stochastic_binarize(x.size, _flat(x), _flat(bits), y.reshape(-1))
        return y
    u = bits * numpy.float32(2 ** -24)
    y = numpy.empty_like(x)
    numpy.less(u, (x + 1) / 2, out=y, casting='unsafe')
    y += y
    y -= 1
    return y


@cpu_threads.Kernel
def _stochastic_binarize(x, bits, y):
    one, half = x.dtype.type(1), x.dtype.type(.5)
    unit = numpy.float32(2 ** -24)
    for i in numba.prange(x.size):
        u = numpy.float32(bits[i]) * unit
        y[i] = one if u < (x[i] + one) * half else -one


def quantize(x, n, low, high):
    if _is_compiled(x):
        y = numpy.empty_like(x, order='C')
        _quantize(x.size, _flat(x), y.reshape(-1),
                  *map(x.dtype.type, (n, low, high)))
        return y
    # out: without it, an array of no dimensions becomes a scalar
    y = numpy.clip(x, low, high, out=numpy.empty_like(x))
    y *= n
    numpy.rint(y, out=y)
    y /= n
    return y


@cpu_threads.Kernel
def _quantize(x, y, n, low, high):
    for i in numba.prange(x.size):
        # low of -0.0 where low is 0.0, as numpy.clip
        v = low if x[i] <= low else (high if x[i] >= high else x[i])
        y[i] = numpy.rint(v * n) / n


def clip(x, low, high):
    if _is_compiled(x) and x.flags.c_contiguous:
        _clip(x.size, x.reshape(-1), *map(x.dtype.type, (low, high)))
        return
    # Not numpy.clip, some versions of which make 0.0 of -0.0.
    numpy.copyto(x, low, where=x < low)
    numpy.copyto(x, high, where=x > high)


@cpu_threads.Kernel
def _clip(x, low, high):
    for i in numba.prange(x.size):
        x[i] = low if x[i] < low else (high if x[i] > high else x[i])


def adam(x, grad, m, v, alpha, beta1, beta2, eps, keep, eta, low, high):
    scalar = x.dtype.type
    _adam(x.size, *map(_flat, (x, grad, m, v)), *map(scalar, (
        alpha, 1 - beta1, 1 - beta2, eps, keep, eta, low, high)))


@cpu_threads.Kernel
def _adam(x, grad, m, v, alpha, rate1, rate2, eps, keep, eta, low, high):
    for i in numba.prange(x.size):
        g = grad[i]
        m[i] += rate1 * (g - m[i])
        v[i] += rate2 * (g * g - v[i])
        y = keep * x[i] - eta * (alpha / (numpy.sqrt(v[i]) + eps) * m[i])
        x[i] = low if y < low else (high if y > high else y)


def momentum_sgd(x, grad, v, lr, momentum, low, high):
    scalar = x.dtype.type
    _momentum_sgd(x.size, *map(_flat, (x, grad, v)), *map(
        scalar, (lr, momentum, low, high)))


@cpu_threads.Kernel
def _momentum_sgd(x, grad, v, lr, momentum, low, high):
    for i in numba.prange(x.size):
        v[i] = momentum * v[i] - lr * grad[i]
        y = x[i] + v[i]
        x[i] = low if y < low else (high if y > high else y)


class Signs(cpu_signs.Signs):

    """See :mod:`bnn.kernels.cpu_signs`."""

    @staticmethod
    def _binarize(x):
        return binarize(x)


def sign_product(x, W):
    # Both ways are exact, while a sum fits into float32.
    return Signs(W).apply(Signs(x, True))


def weight_gradient(gy, x):
    levels = cpu_levels.find(x) if is_tiled(gy.T, x, x.shape[1]) else None
    return (gy.T.dot(x) if levels is None
            else cpu_tiles.by_levels(gy.T, levels))


def _is_compiled(x):
    return x.dtype in (numpy.float32, numpy.float64) and x.dtype.isnative


def _flat(x):
    # A view, or of a gradient that is not contiguous a copy
    return numpy.ascontiguousarray(x).reshape(-1)
