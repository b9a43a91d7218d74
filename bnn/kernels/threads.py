"""How Numba compiles the kernels, and how many threads run them."""
import hashlib
import os
import pathlib
import types
from collections.abc import Callable
from typing import Any

# Waking a sleeping thread takes longer than many kernels run, so Numba's
# threads spin for half a millisecond before they sleep.  They must not where
# the threads of the BLAS spin for 25 ms on the same cores; bnn.environment
# shortens that and sets OPENBLAS_THREAD_TIMEOUT.  GCC's OpenMP reads the
# first variable when it is loaded, LLVM's the second, in milliseconds.
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.setdefault('GOMP_SPINCOUNT', (
        '10000' if 'OPENBLAS_THREAD_TIMEOUT' in os.environ else '0'))
    os.environ.setdefault('KMP_BLOCKTIME', '0')

import numba  # noqa: E402  after the variables that its threads read

# Numba reads NUMBA_NUM_THREADS alone.  The BLAS obeys OMP_NUM_THREADS, and so
# do the kernels.
if (os.environ.get('OMP_NUM_THREADS', '').isdigit()
        and 'NUMBA_NUM_THREADS' not in os.environ):
    numba.set_num_threads(max(1, min(
        int(os.environ['OMP_NUM_THREADS']), numba.config.NUMBA_NUM_THREADS)))

# Waking a second thread takes as long as a kernel of this many elements.
_MIN_WORK = 1 << 16


def _hash_sources() -> str:
    """Returns a name for this version of the files of this folder."""
    found = hashlib.sha256()
    for path in sorted(pathlib.Path(__file__).parent.glob('*.py')):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


# Numba keeps machine code under the name of its function, and makes it anew
# when the file of the function changes.  A kernel is made of functions of
# several files, so its name says the version of all of them.
_VERSION = _hash_sources()


class Kernel:
    """A kernel, compiled once for all threads and once for one.

    Numba keeps the machine code for the next process.

    Args:
        function: What to compile, with :func:`numba.prange` in it.
    """

    def __init__(self, function: Callable):
        self._together = _compile(function, 'together', parallel=True)
        self._alone = _compile(function, 'alone')

    def __call__(self, work: int, *args: Any) -> Any:
        """Runs the kernel, on one thread where there is little to do.

        Args:
            work: About how many elements it goes through.
            args: What the function takes.

        Returns:
            What the function returns.
        """
        return (self._alone if work < _MIN_WORK else self._together)(*args)


def n_threads(work: int) -> int:
    """Returns how many threads a :class:`Kernel` takes for so much work."""
    return 1 if work < _MIN_WORK else numba.get_num_threads()


def add_in_any_order(function: Callable) -> Callable:
    """Compiles a function whose additions the compiler orders.

    So it can use vectors.  The function becomes a part of the kernels that
    call it.  If it stood alone, Numba would take the one that this process
    compiled or the one that it kept with a kernel, and their orders differ:
    the first run on a machine would have another log than the next.
    """
    return numba.njit(fastmath={'reassoc', 'nsz'}, error_model='numpy',
                      forceinline=True)(function)


def _compile(function, kind, **options):
    named = types.FunctionType(
        function.__code__, function.__globals__, function.__name__)
    named.__qualname__ = f'{function.__qualname__}_{kind}_{_VERSION}'
    # Without fastmath, so that every operation rounds as NumPy's does
    options.update(error_model='numpy', nogil=True)
    try:
        return numba.njit(named, cache=True, **options)
    except RuntimeError:  # there is no folder to keep machine code in
        return numba.njit(named, **options)
