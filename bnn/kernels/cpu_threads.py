"""How Numba compiles the kernels, and their threads."""
import os
import types

# A sleeping thread takes longer to wake than many a kernel to run, so Numba's
# threads spin for it, half a millisecond: where those of the BLAS do not spin
# too, for 25 ms (bnn.environment), on the cores that they would have.  OpenMP
# reads this when it is loaded: GCC's the one, LLVM's the other, which counts
# in whole milliseconds and by default to 200.
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.setdefault('GOMP_SPINCOUNT', (
        '10000' if 'OPENBLAS_THREAD_TIMEOUT' in os.environ else '0'))
    os.environ.setdefault('KMP_BLOCKTIME', '0')

import numba

# Numba knows its own variable only; the BLAS beside it obeys this one.
if (os.environ.get('OMP_NUM_THREADS', '').isdigit()
        and 'NUMBA_NUM_THREADS' not in os.environ):
    numba.set_num_threads(max(1, min(
        int(os.environ['OMP_NUM_THREADS']), numba.config.NUMBA_NUM_THREADS)))


# To wake a second thread takes as long as so many elements.
_MIN_WORK = 1 << 16


class Kernel(object):

    """A kernel, compiled for all threads and for one.

    The machine code is kept for the next process.

    Args:
        function (callable): What to compile, with :func:`numba.prange` in
            it.
    """

    def __init__(self, function):
        # Numba keeps machine code under this name.
        alone = types.FunctionType(
            function.__code__, function.__globals__, function.__name__)
        alone.__qualname__ = function.__qualname__ + '_alone'
        self._together = _compile(function, parallel=True)
        self._alone = _compile(alone)

    def __call__(self, work, *args):
        """Runs it.

        Args:
            work (int): How many elements it goes through, about.
            args: What the function takes.
        """
        (self._alone if work < _MIN_WORK else self._together)(*args)


def n_threads(work):
    """Returns how many threads a :class:`Kernel` takes for so much work."""
    return 1 if work < _MIN_WORK else numba.get_num_threads()


def _stamp():
    """Returns what tells one version of these files from another."""
    folder = os.path.dirname(os.path.abspath(__file__))
    with os.scandir(folder) as entries:
        return sorted((entry.name, entry.stat().st_mtime, entry.stat().st_size)
                      for entry in entries if entry.name.endswith('.py'))


_STAMP = _stamp()


def _compile(function, **options):
    # Without fastmath: every operation rounds as NumPy's does.
    options.update(error_model='numpy', nogil=True)
    try:
        kernel = numba.njit(function, cache=True, **options)
    except RuntimeError:  # there is no folder to keep machine code in
        return numba.njit(function, **options)
    # Numba looks at the file of the function alone: what it is made of is in
    # others too, and old machine code would go on.
    kept = getattr(kernel._cache, '_cache_file', None)
    if hasattr(kept, '_source_stamp'):
        kept._source_stamp = _STAMP
    return kernel
