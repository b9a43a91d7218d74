"""The kernels on CuPy arrays; documented in :mod:`bnn.kernels`."""
import cupy

_binarize = cupy.ElementwiseKernel(
    'T x', 'T y',
    'y = x >= T(0) ? T(1) : T(-1)',
    'bnn_binarize')

# A comparison from both sides rather than fabs, which float16 lacks.
_ste_gradient = cupy.ElementwiseKernel(
    'T x, T gy, T bound', 'T gx',
    'gx = x >= -bound && x <= bound ? gy : T(0)',
    'bnn_ste_gradient')

# Not cupy.clip: these comparisons leave NaN as it is, like numpy.clip.
_clip = cupy.ElementwiseKernel(
    'T low, T high', 'T x',
    'x = x < low ? low : (x > high ? high : x)',
    'bnn_clip')


def binarize(x):
    return _binarize(x)


def ste_gradient(x, gy, bound):
    return _ste_gradient(x, gy, bound)


def clip(x, low, high):
    _clip(low, high, x)
