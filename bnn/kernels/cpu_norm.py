"""Batch normalization on NumPy arrays; documented in :mod:`bnn.kernels`.

Arrays are (n, channels), normalized in blocks of channels, or images of
(n, channels, positions), channel by channel.  Sums are float64.
"""
import math

import numba
import numpy

from bnn.kernels import cpu_threads

_BLOCK = 64


def batch_norm(x, gamma, beta, eps, sign):
    x, y = _flat(x), numpy.empty(x.shape, x.dtype)
    mean, var, inv_std = numpy.empty((3, len(gamma)), x.dtype)
    kernel = _of_rows if x.ndim == 2 else _of_planes
    kernel(x.size, x, y.reshape(x.shape), gamma, beta, float(eps), sign,
           mean, var, inv_std)
    return y, mean, var, inv_std


def normalize(x, gamma, beta, mean, inv_std, sign):
    x, y = _flat(x), numpy.empty(x.shape, x.dtype)
    kernel = _normalize_rows if x.ndim == 2 else _normalize_planes
    kernel(x.size, x, y.reshape(x.shape), gamma, beta, mean, inv_std, sign)
    return y


def batch_norm_gradient(x, gy, gamma, beta, mean, inv_std, sign):
    gx = numpy.empty(x.shape, x.dtype)
    x, gy = _flat(x), _flat(gy)
    ggamma, gbeta = numpy.empty((2, len(gamma)), x.dtype)
    kernel = _gradient_of_rows if x.ndim == 2 else _gradient_of_planes
    kernel(x.size, x, gy, gx.reshape(x.shape), gamma, beta, mean, inv_std,
           sign, ggamma, gbeta)
    return gx, ggamma, gbeta


def moving_averages(running_mean, running_var, mean, var, m, decay):
    for running, new in ((running_mean, mean),
                         (running_var, m / max(m - 1, 1) * var)):
        running *= decay
        running += (1 - decay) * new


def _flat(x):
    x = numpy.ascontiguousarray(x)
    # The product, not -1, which reshape cannot tell of no image.
    return x if x.ndim == 2 else x.reshape(
        *x.shape[:2], math.prod(x.shape[2:]))


@numba.njit(inline='always', error_model='numpy')
def _output(x_hat, gamma, beta, sign, one):
    y = gamma * x_hat + beta
    if sign:
        y = one if y >= 0 else -one
    return y


@numba.njit(inline='always', error_model='numpy')
def _passed(gy, x_hat, gamma, beta, sign, zero):
    # Straight through: where the input of the sign is in [-1, 1]
    if sign and not abs(gamma * x_hat + beta) <= 1:
        gy = zero
    return gy


@numba.njit(inline='always', error_model='numpy')
def _keep(total, square, shift, n, eps, c, mean, var, inv_std):
    # Of the differences from a first value: no cancellation in the variance
    average = total / n
    spread = max(square / n - average * average, 0.)
    mean[c] = shift + average
    var[c] = spread
    inv_std[c] = 1 / numpy.sqrt(spread + eps)


@cpu_threads.Kernel
def _of_rows(x, y, gamma, beta, eps, sign, mean, var, inv_std):
    for block in numba.prange(-(-x.shape[1] // _BLOCK)):
        some = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _of_columns(x, y, some, gamma[some], beta[some], eps, sign,
                    mean[some], var[some], inv_std[some])


@numba.njit(error_model='numpy')
def _of_columns(x, y, some, gamma, beta, eps, sign, mean, var, inv_std):
    one = x.dtype.type(1)
    total = numpy.zeros(len(gamma))
    square = numpy.zeros(len(gamma))
    first = x[0, some]
    for i in range(len(x)):
        row = x[i, some]
        for c in range(len(total)):
            d = numpy.float64(row[c] - first[c])
            total[c] += d
            square[c] += d * d
    for c in range(len(total)):
        _keep(total[c], square[c], first[c], len(x), eps, c, mean, var,
              inv_std)
    for i in range(len(x)):
        row, out = x[i, some], y[i, some]
        for c in range(len(gamma)):
            out[c] = _output((row[c] - mean[c]) * inv_std[c], gamma[c],
                             beta[c], sign, one)


@cpu_threads.Kernel
def _normalize_rows(x, y, gamma, beta, mean, inv_std, sign):
    one = x.dtype.type(1)
    for i in numba.prange(len(x)):
        for c in range(x.shape[1]):
            y[i, c] = _output((x[i, c] - mean[c]) * inv_std[c],
                              gamma[c], beta[c], sign, one)


@cpu_threads.Kernel
def _gradient_of_rows(x, gy, gx, gamma, beta, mean, inv_std, sign, ggamma,
                      gbeta):
    for block in numba.prange(-(-x.shape[1] // _BLOCK)):
        some = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _gradient_of_columns(
            x, gy, gx, some, gamma[some], beta[some], mean[some],
            inv_std[some], sign, ggamma[some], gbeta[some])


@numba.njit(error_model='numpy')
def _gradient_of_columns(x, gy, gx, some, gamma, beta, mean, inv_std, sign,
                         ggamma, gbeta):
    zero, inv_n = x.dtype.type(0), x.dtype.type(1 / len(x))
    total = numpy.zeros(len(gamma))
    product = numpy.zeros(len(gamma))
    for i in range(len(x)):
        row, gy_row = x[i, some], gy[i, some]
        for c in range(len(total)):
            x_hat = (row[c] - mean[c]) * inv_std[c]
            g = _passed(gy_row[c], x_hat, gamma[c], beta[c], sign, zero)
            total[c] += g
            product[c] += numpy.float64(g) * x_hat
    for c in range(len(total)):
        gbeta[c] = total[c]
        ggamma[c] = product[c]
    for i in range(len(x)):
        row, gy_row, gx_row = x[i, some], gy[i, some], gx[i, some]
        for c in range(len(gamma)):
            x_hat = (row[c] - mean[c]) * inv_std[c]
            g = _passed(gy_row[c], x_hat, gamma[c], beta[c], sign, zero)
            gx_row[c] = gamma[c] * inv_std[c] * (
                g - (x_hat * ggamma[c] + gbeta[c]) * inv_n)


# The order of the additions is the compiler's, so that it may use vectors.
@numba.njit(fastmath={'reassoc', 'nsz'}, error_model='numpy')
def _sums(x, shift):
    total = square = 0.
    for value in x:
        d = numpy.float64(value - shift)
        total += d
        square += d * d
    return total, square


@numba.njit(fastmath={'reassoc', 'nsz'}, error_model='numpy')
def _gradient_sums(x, gy, mean, inv_std, gamma, beta, sign, zero):
    total = product = 0.
    for i in range(len(x)):
        x_hat = (x[i] - mean) * inv_std
        g = _passed(gy[i], x_hat, gamma, beta, sign, zero)
        total += g
        product += numpy.float64(g) * x_hat
    return total, product


@cpu_threads.Kernel
def _of_planes(x, y, gamma, beta, eps, sign, mean, var, inv_std):
    n, n_channels, size = x.shape
    one = x.dtype.type(1)
    for c in numba.prange(n_channels):
        total = square = 0.
        for i in range(n):
            t, s = _sums(x[i, c], x[0, c, 0])
            total += t
            square += s
        _keep(total, square, x[0, c, 0], n * size, eps, c, mean, var,
              inv_std)
        for i in range(n):
            for j in range(size):
                y[i, c, j] = _output((x[i, c, j] - mean[c]) * inv_std[c],
                                     gamma[c], beta[c], sign, one)


@cpu_threads.Kernel
def _normalize_planes(x, y, gamma, beta, mean, inv_std, sign):
    one = x.dtype.type(1)
    for i in numba.prange(len(x)):
        for c in range(x.shape[1]):
            for j in range(x.shape[2]):
                y[i, c, j] = _output((x[i, c, j] - mean[c]) * inv_std[c],
                                     gamma[c], beta[c], sign, one)


@cpu_threads.Kernel
def _gradient_of_planes(x, gy, gx, gamma, beta, mean, inv_std, sign, ggamma,
                        gbeta):
    n, n_channels, size = x.shape
    zero, inv_n = x.dtype.type(0), x.dtype.type(1 / (n * size))
    for c in numba.prange(n_channels):
        total = product = 0.
        for i in range(n):
            t, p = _gradient_sums(x[i, c], gy[i, c], mean[c], inv_std[c],
                                  gamma[c], beta[c], sign, zero)
            total += t
            product += p
        gbeta[c] = total
        ggamma[c] = product
        for i in range(n):
            for j in range(size):
                x_hat = (x[i, c, j] - mean[c]) * inv_std[c]
                g = _passed(gy[i, c, j], x_hat, gamma[c], beta[c], sign,
                            zero)
                gx[i, c, j] = gamma[c] * inv_std[c] * (
                    g - (x_hat * ggamma[c] + gbeta[c]) * inv_n)
