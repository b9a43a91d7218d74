"""The most that a machine's arithmetic and memory give, measured."""
import os

import numba
import numpy

from bnn.kernels import cpu  # noqa: F401  sets Numba's threads

_L2 = '/sys/devices/system/cpu/cpu0/cache/index2/size'


@numba.njit(parallel=True)
def _triad(a, b, c, scales, n_chunks):
    size = a.size // n_chunks
    for k in numba.prange(n_chunks):
        # Each thread again and again over its own part
        mine = a[k * size:(k + 1) * size]
        left = b[k * size:(k + 1) * size]
        right = c[k * size:(k + 1) * size]
        for scale in scales:
            for i in range(size):
                mine[i] = left[i] + scale * right[i]


def triad(n, repeats=1):
    """Returns a function that computes a = b + s c, and the bytes it moves.

    Args:
        n (int): Elements of each array, float32.
        repeats (int): How often in a call, without waiting for each other.
    """
    threads = numba.get_num_threads()
    n = max(n // threads, 1) * threads
    a, b, c = (numpy.ones(n, numpy.float32) for _ in range(3))
    scales = numpy.arange(1, repeats + 1, dtype=numpy.float32)
    return (lambda: _triad(a, b, c, scales, threads)), 12 * n * repeats


def product(n):
    """Returns a function that does a float32 product, and the operations."""
    a, b, c = (numpy.ones((n, n), numpy.float32) for _ in range(3))
    return (lambda: numpy.dot(a, b, out=c)), 2 * n ** 3


def cache_bytes():
    """Returns the size of the second-level caches of the threads."""
    try:
        with open(_L2) as f:
            size = int(f.read().strip().rstrip('K')) * 1024
    except (OSError, ValueError):
        size = 1 << 20
    return size * min(numba.get_num_threads(), os.cpu_count())
