"""How Numba compiles the kernels, and their threads."""
import os

# Numba's threads must not spin while the BLAS computes; OpenMP reads this
# when it is loaded.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

import numba

# Numba knows its own variable only; the BLAS beside it obeys this one.
if (os.environ.get('OMP_NUM_THREADS', '').isdigit()
        and 'NUMBA_NUM_THREADS' not in os.environ):
    numba.set_num_threads(max(1, min(
        int(os.environ['OMP_NUM_THREADS']), numba.config.NUMBA_NUM_THREADS)))


def compile(function):
    """Compiles a kernel, and keeps the machine code for the next process."""
    # Without fastmath: every operation rounds as NumPy's does.
    options = {'parallel': True, 'error_model': 'numpy', 'nogil': True}
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # there is no folder to keep machine code in
        return numba.njit(function, **options)
