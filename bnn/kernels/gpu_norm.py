"""Batch normalization on CuPy arrays; documented in :mod:`bnn.kernels`.

A block of threads has 8 channels of (n, channels), whose neighbours lie side
by side in memory, or one channel of (n, channels, positions).  With few
channels several blocks share one: then their sums are a kernel of their own,
else the sums and the result are one kernel.  Sums are float64, in an order
that only the shape decides.  Nothing waits for the GPU, and no number goes to
it but as an argument, so that a CUDA graph can hold all of this.
"""
import cupy
import numpy

from bnn.kernels import gpu_source

_THREADS = 512
_BLOCKS = 512  # about what keeps a large GPU's memory busy
_LEAST = 8  # values that a thread adds up, at least, where blocks share

_moving_averages = cupy.ElementwiseKernel(
    'T mean, T var, T decay, T rate, T factor',
    'T running_mean, T running_var',
    """running_mean = running_mean * decay + rate * mean;
       running_var = running_var * decay + rate * (factor * var)""",
    'bnn_moving_averages')


class _Plan(object):
    """How the kernels go over an array."""

    def __init__(self, x, least=_LEAST):
        if x.dtype.char not in 'fd':
            raise TypeError('float32 or float64 is needed, not %s' % x.dtype)
        self.n_channels = x.shape[1]
        self.m = x.size // self.n_channels
        self._size = self.m // x.shape[0]
        self._dtype = x.dtype.char  # of T
        self._width = 8 if self._size == 1 else 1
        self._groups = -(-self.n_channels // self._width)
        lanes = _THREADS // self._width
        self.shares = max(1, min(-(-_BLOCKS // self._groups),
                                 self.m // (lanes * least)))

    def __call__(self, name, *args):
        """Starts a kernel; what it declares last are the sizes."""
        kernel = gpu_source.kernel(
            'norm.cu', name, self._dtype, CHANNELS=self._width)
        kernel((self._groups, self.shares), (_THREADS,), (
            *args, numpy.int64(self.m), numpy.int32(self.n_channels),
            numpy.int32(self._size)))

    def sums(self, name, *args):
        """Returns the sums that blocks leave, and how many leave some."""
        if self.shares == 1:
            return cupy.empty(1, numpy.float64), numpy.int32(0)
        sums = cupy.empty((self.shares, 2, self.n_channels), numpy.float64)
        self(name, *args, sums)
        return sums, numpy.int32(self.shares)


def batch_norm(x, gamma, beta, eps, sign):
    x, gamma, beta = map(cupy.ascontiguousarray, (x, gamma, beta))
    y = cupy.empty(x.shape, x.dtype)
    mean, var, inv_std = (
        cupy.empty(gamma.shape, x.dtype) for _ in range(3))
    plan = _Plan(x)
    sums = plan.sums('bnn_norm_sums', x)
    plan('bnn_norm', x, y, gamma, beta, numpy.float64(eps), numpy.int32(sign),
         *sums, mean, var, inv_std)
    return y, mean, var, inv_std


def normalize(x, gamma, beta, mean, inv_std, sign):
    x, *others = map(cupy.ascontiguousarray, (x, gamma, beta, mean, inv_std))
    y = cupy.empty(x.shape, x.dtype)
    if x.size:
        _Plan(x, 1)('bnn_norm_fixed', x, y, *others, numpy.int32(sign))
    return y


def batch_norm_gradient(x, gy, gamma, beta, mean, inv_std, sign):
    x, gy, *others = map(
        cupy.ascontiguousarray, (x, gy, gamma, beta, mean, inv_std))
    gx = cupy.empty(x.shape, x.dtype)
    ggamma, gbeta = (cupy.empty(gamma.shape, x.dtype) for _ in range(2))
    plan = _Plan(x)
    others = *others, numpy.int32(sign)
    sums = plan.sums('bnn_norm_gradient_sums', x, gy, *others)
    plan('bnn_norm_gradient', x, gy, gx, *others, *sums, ggamma, gbeta,
         x.dtype.type(1 / plan.m))
    return gx, ggamma, gbeta


def moving_averages(running_mean, running_var, mean, var, m, decay):
    mean, var = (v.astype(running_mean.dtype, copy=False)
                 for v in (mean, var))
    _moving_averages(mean, var, decay, 1 - decay, m / max(m - 1, 1),
                     running_mean, running_var)
