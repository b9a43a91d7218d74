"""The kernels on CuPy arrays; documented in :mod:`bnn.kernels`."""
import cupy
import numpy

from bnn.kernels import sign_matrices
from bnn.kernels.gpu_bits import pack  # noqa: F401
from bnn.kernels.gpu_bits import xnor_product  # noqa: F401
from bnn.kernels.gpu_norm import batch_norm  # noqa: F401
from bnn.kernels.gpu_norm import batch_norm_gradient  # noqa: F401
from bnn.kernels.gpu_norm import moving_averages  # noqa: F401
from bnn.kernels.gpu_norm import normalize  # noqa: F401

_binarize = cupy.ElementwiseKernel(
    'T x', 'T y',
    'y = x >= T(0) ? T(1) : T(-1)',
    'bnn_binarize')

_ste_gradient = cupy.ElementwiseKernel(
    'T x, T gy, T low, T high', 'T gx',
    'gx = low <= x && x <= high ? gy : T(0)',
    'bnn_ste_gradient')

_approx_sign_gradient = cupy.ElementwiseKernel(
    'T x, T gy', 'T gx',
    """T size = x < T(0) ? T(-x) : x;
       gx = size <= T(1) ? T(gy * T(T(2) - T(T(2) * size))) : T(0)""",
    'bnn_approx_sign_gradient')

# In float even for float16, where cosh would overflow.
_swish_sign_gradient = cupy.ElementwiseKernel(
    'T x, T gy, float64 beta', 'T gx',
    """double z = beta * static_cast<double>(x);
       double slope = beta * (2 - z * tanh(z / 2)) / (1 + cosh(z));
       gx = z > -80. && z < 80.
           ? T(static_cast<double>(gy) * slope) : T(0)""",
    'bnn_swish_sign_gradient')

# A counter mixed with two random words by a PCG hash, twice.
_stochastic_binarize = cupy.ElementwiseKernel(
    'T x, uint32 a, uint32 b', 'T y',
    """unsigned int s = (static_cast<unsigned int>(i) ^ a) * 747796405u + b;
       for (int k = 0; k < 2; ++k) {
           s = ((s >> ((s >> 28) + 4)) ^ s) * 277803737u;
           s = (s >> 22) ^ s;
           s = s * 747796405u + 2891336453u;
       }
       s = ((s >> ((s >> 28) + 4)) ^ s) * 277803737u;
       s = (s >> 22) ^ s;
       float u = (s >> 8) * (1.f / 16777216.f);
       y = u < (static_cast<float>(x) + 1.f) / 2.f ? T(1) : T(-1)""",
    'bnn_stochastic_binarize')

# The product is rounded to T too: of float16 it would be a float.
_quantize = cupy.ElementwiseKernel(
    'T x, T n, T low, T high', 'T y',
    'y = T(rint(T((x < low ? low : (x > high ? high : x)) * n))) / n',
    'bnn_quantize')

# Not cupy.clip: these comparisons leave NaN as it is, like numpy.clip.
_clip = cupy.ElementwiseKernel(
    'T low, T high', 'T x',
    'x = x < low ? low : (x > high ? high : x)',
    'bnn_clip')

_adam = cupy.ElementwiseKernel(
    'T grad, T alpha, T rate1, T rate2, T eps, T keep, T eta, T low, T high',
    'T x, T m, T v',
    """m += rate1 * (grad - m);
       v += rate2 * (grad * grad - v);
       x = keep * x - eta * (alpha / (sqrt(v) + eps) * m);
       x = x < low ? low : (x > high ? high : x)""",
    'bnn_adam')

_momentum_sgd = cupy.ElementwiseKernel(
    'T grad, T lr, T momentum, T low, T high', 'T x, T v',
    """v = momentum * v - lr * grad;
       T y = x + v;
       x = y < low ? low : (y > high ? high : y)""",
    'bnn_momentum_sgd')


def binarize(x):
    return _binarize(x)


def ste_gradient(x, gy, low, high):
    return _ste_gradient(x, gy, low, high)


def approx_sign_gradient(x, gy):
    return _approx_sign_gradient(x, gy)


def swish_sign_gradient(x, gy, beta):
    return _swish_sign_gradient(x, gy, beta)


def stochastic_binarize(x):
    a, b = numpy.random.randint(0, 1 << 32, 2, numpy.uint32)
    return _stochastic_binarize(x, a, b)


def quantize(x, n, low, high):
    return _quantize(x, n, low, high)


def clip(x, low, high):
    _clip(low, high, x)


def adam(x, grad, m, v, alpha, beta1, beta2, eps, keep, eta, low, high):
    _adam(grad, alpha, 1 - beta1, 1 - beta2, eps, keep, eta, low, high,
          x, m, v)


def momentum_sgd(x, grad, v, lr, momentum, low, high):
    _momentum_sgd(grad, lr, momentum, low, high, x, v)


def sign_product(x, W):
    return x.dot(binarize(W).T)


def weight_gradient(gy, x):
    return gy.T.dot(x)


class Signs(sign_matrices.Signs):

    @staticmethod
    def _binarize(x):
        return binarize(x)
