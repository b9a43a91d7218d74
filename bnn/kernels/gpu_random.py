"""Random numbers on a GPU that follow from a seed, an iteration and a call.

A generator whose state the host advances would draw the same numbers each
time that a captured graph is replayed.  Here the number of the iteration is
on the device and part of what is hashed.
"""
import contextlib

import numpy

from bnn.kernels import gpu_launch

_THREADS = 256
_current = None

# Philox4x32-10 (J. Salmon et al., "Parallel random numbers: as easy as 1, 2,
# 3", 2011): a thread makes four words.
SOURCE = r'''
__device__ void philox(unsigned int *c, unsigned int k0, unsigned int k1) {
    for (int i = 0; i < 10; ++i) {
        const unsigned long long a = 0xD2511F53ull * c[0];
        const unsigned long long b = 0xCD9E8D57ull * c[2];
        const unsigned int c1 = c[1], c3 = c[3];
        c[0] = static_cast<unsigned int>(b >> 32) ^ c1 ^ k0;
        c[1] = static_cast<unsigned int>(b);
        c[2] = static_cast<unsigned int>(a >> 32) ^ c3 ^ k1;
        c[3] = static_cast<unsigned int>(a);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

// state: the seed and the number of the iteration
__device__ void draw(const unsigned long long *state, unsigned int call,
                     unsigned int i, float *u) {
    unsigned int words[4] = {
        i, call, static_cast<unsigned int>(state[1]),
        static_cast<unsigned int>(state[1] >> 32)};
    philox(words, static_cast<unsigned int>(state[0]),
           static_cast<unsigned int>(state[0] >> 32));
    for (int j = 0; j < 4; ++j) {
        u[j] = (words[j] >> 8) * (1.f / 16777216.f);
    }
}

extern "C" __global__ void uniform(
        float *y, long long n, const unsigned long long *state,
        unsigned int call) {
    const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    float u[4];
    draw(state, call, i, u);
    for (int j = 0; j < 4 && 4ll * i + j < n; ++j) {
        y[4ll * i + j] = u[j];
    }
}

template <typename T>
__device__ void signs(const T *x, T *y, long long n,
                      const unsigned long long *state, unsigned int call) {
    const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    float u[4];
    draw(state, call, i, u);
    for (int j = 0; j < 4 && 4ll * i + j < n; ++j) {
        const float at = static_cast<float>(x[4ll * i + j]);
        y[4ll * i + j] = u[j] < (at + 1.f) / 2.f ? T(1) : T(-1);
    }
}

template <typename T>
__device__ void mask(T *y, long long n, double ratio,
                     const unsigned long long *state, unsigned int call) {
    const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    float u[4];
    draw(state, call, i, u);
    const T scale = static_cast<T>(1. / (1. - ratio));
    for (int j = 0; j < 4 && 4ll * i + j < n; ++j) {
        y[4ll * i + j] = u[j] >= ratio ? scale : T(0);
    }
}

#define KERNELS(T, suffix) \
extern "C" __global__ void signs_##suffix( \
        const T *x, T *y, long long n, const unsigned long long *state, \
        unsigned int call) { \
    signs(x, y, n, state, call); \
} \
extern "C" __global__ void mask_##suffix( \
        T *y, long long n, double ratio, const unsigned long long *state, \
        unsigned int call) { \
    mask(y, n, ratio, state, call); \
}
KERNELS(float, float32)
KERNELS(double, float64)
'''


class Source(object):

    """Where the draws of an iteration come from.

    Two calls of an iteration, and two iterations, draw other numbers; the
    same iteration with the same seed draws the same ones, in a resumed run
    too.

    Args:
        xp: CuPy.
        seed (int): From 0 to 2^64 - 1.

    Attributes:
        state (cupy.ndarray): uint64 (2,), the seed and the number of the
            iteration, which a kernel counts on
            (:func:`bnn.kernels.gpu_steps.advance`).
    """

    def __init__(self, xp, seed):
        self._xp = xp
        self.state = xp.asarray(numpy.array([seed, 0], numpy.uint64))
        self._n_calls = 0

    def set_iteration(self, iteration):
        """Sets the number of the iteration, from the host."""
        gpu_launch.fill(
            self.state[1:], numpy.array([iteration], numpy.uint64))

    @contextlib.contextmanager
    def use(self):
        """Makes it the source of an iteration's draws."""
        global _current
        before, _current = _current, self
        self._n_calls = 0
        try:
            yield self
        finally:
            _current = before

    def uniform(self, shape):
        """Draws float32 numbers in [0, 1), multiples of 2^-24."""
        y = self._xp.empty(shape, numpy.float32)
        self._launch('uniform', y, y, numpy.int64(y.size))
        return y

    def signs(self, x):
        """Draws signs, see :func:`bnn.kernels.stochastic_binarize`."""
        if x.dtype not in (numpy.float32, numpy.float64):
            return self.signs(x.astype(numpy.float32)).astype(x.dtype)
        x = self._xp.ascontiguousarray(x)
        y = self._xp.empty_like(x)
        self._launch('signs_%s' % x.dtype, y, x, y, numpy.int64(y.size))
        return y

    def mask(self, shape, dtype, ratio):
        """Draws what dropout multiplies with: 0, or 1 / (1 - ratio)."""
        wide = numpy.promote_types(dtype, numpy.float32)
        y = self._xp.empty(shape, wide)
        self._launch('mask_%s' % wide, y, y, numpy.int64(y.size),
                     numpy.float64(ratio))
        return y.astype(dtype, copy=False)

    def _launch(self, name, y, *args):
        call = numpy.uint32(self._n_calls)
        self._n_calls += 1
        n_blocks = -(-y.size // (4 * _THREADS))
        if n_blocks:
            gpu_launch.launch(SOURCE, name, n_blocks, _THREADS, *args,
                              self.state, call)


def current():
    """Returns the source of this iteration's draws, or ``None``."""
    return _current
