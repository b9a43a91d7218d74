"""The elementwise kernels on CuPy arrays.

:mod:`bnn.kernels.elementwise` documents the functions and calls them.
"""
import cupy

binarize = cupy.ElementwiseKernel(
    'T x', 'T y',
    'y = x >= T(0) ? T(1) : T(-1)',
    'bnn_binarize')

ste_gradient = cupy.ElementwiseKernel(
    'T x, T gy, T low, T high', 'T gx',
    'gx = low <= x && x <= high ? gy : T(0)',
    'bnn_ste_gradient')

approx_sign_gradient = cupy.ElementwiseKernel(
    'T x, T gy', 'T gx',
    """T size = x < T(0) ? T(-x) : x;
       gx = size <= T(1) ? T(gy * T(T(2) - T(T(2) * size))) : T(0)""",
    'bnn_approx_sign_gradient')

# In float64 even for float16, whose cosh would overflow
swish_sign_gradient = cupy.ElementwiseKernel(
    'T x, T gy, float64 beta', 'T gx',
    """double z = beta * static_cast<double>(x);
       double slope = beta * (2 - z * tanh(z / 2)) / (1 + cosh(z));
       gx = z > -80. && z < 80.
           ? T(static_cast<double>(gy) * slope) : T(0)""",
    'bnn_swish_sign_gradient')

# i is the number of the element.  The hash is reference.random_words.
stochastic_binarize = cupy.ElementwiseKernel(
    'T x, uint32 a, uint32 b', 'T y',
    """unsigned int s = static_cast<unsigned int>(i);
       for (int k = 0; k < 2; ++k) {
           s ^= k == 0 ? a : b;
           s = s * 747796405u + 2891336453u;
           s = ((s >> ((s >> 28) + 4)) ^ s) * 277803737u;
           s = (s >> 22) ^ s;
       }
       float u = (s >> 8) * (1.f / 16777216.f);
       y = u < (x + T(1)) * .5f ? T(1) : T(-1)""",
    'bnn_stochastic_binarize')

# T(rint(...)) rounds the product to T: of float16 it would stay a float.
quantize = cupy.ElementwiseKernel(
    'T x, T n, T low, T high', 'T y',
    'y = T(rint(T((x < low ? low : (x > high ? high : x)) * n))) / n',
    'bnn_quantize')

# Not cupy.clip: these comparisons leave NaN as it is, as numpy.clip does.
_clip = cupy.ElementwiseKernel(
    'T low, T high', 'T x',
    'x = x < low ? low : (x > high ? high : x)',
    'bnn_clip')


def clip(x: cupy.ndarray, low: float, high: float) -> None:
    _clip(low, high, x)
