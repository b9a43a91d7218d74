"""The definition of every kernel, in plain NumPy.

The documentation stands in :mod:`bnn.kernels`; tests hold the fast kernels
to these.
"""
import numpy


def binarize(x):
    return numpy.where(x >= 0, 1, -1).astype(x.dtype)


def ste_gradient(x, gy, bound=1.0):
    return numpy.where(numpy.abs(x) <= bound, gy, 0).astype(gy.dtype)


def clip(x, low, high):
    x[...] = numpy.where(x < low, low, numpy.where(x > high, high, x))
