"""The definition of every kernel, in plain NumPy.

The documentation stands in :mod:`bnn.kernels`; tests hold the fast kernels
to these.
"""
import numpy


def binarize(x):
    return numpy.where(x >= 0, 1, -1).astype(x.dtype)


def ste_gradient(x, gy, low=-1.0, high=1.0):
    return numpy.where((low <= x) & (x <= high), gy, 0).astype(gy.dtype)


def approx_sign_gradient(x, gy):
    return numpy.where(
        numpy.abs(x) <= 1, gy * (2 - 2 * numpy.abs(x)), 0).astype(gy.dtype)


def swish_sign_gradient(x, gy, beta=5.0):
    z = numpy.clip(beta * x.astype(numpy.float64), -80, 80)
    slope = beta * (2 - z * numpy.tanh(z / 2)) / (1 + numpy.cosh(z))
    return numpy.where(
        numpy.abs(z) < 80, gy * slope, 0).astype(gy.dtype)


def stochastic_binarize(x, u):
    # u: uniform in [0, 1), of the shape of x
    return numpy.where(u < (x + 1) / 2, 1, -1).astype(x.dtype)


def quantize(x, n, low, high):
    return (numpy.rint(numpy.clip(x, low, high) * n) / n).astype(x.dtype)


def clip(x, low, high):
    x[...] = numpy.where(x < low, low, numpy.where(x > high, high, x))


def adam(x, grad, m, v, alpha, beta1, beta2, eps, keep, eta, low, high):
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad * grad - v)
    x[...] = keep * x - eta * (alpha / (numpy.sqrt(v) + eps) * m)
    clip(x, low, high)
