"""The memory of the process."""
import contextlib
import ctypes
import sys
from collections.abc import Iterator

try:
    import resource
except ImportError:  # not of Windows
    resource = None

# glibc's mallopt(3)
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4


def keep() -> None:
    """Keeps what is freed, instead of giving it back to the system.

    Each iteration makes and frees the same large arrays.  By default the C
    library asks the system for each of them anew, which clears every page: a
    third of the time of an iteration of NIN on a CPU.  Does nothing where the
    library is not glibc.
    """
    if not sys.platform.startswith('linux'):
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2 ** 31 - 1)
        mallopt(_M_TOP_PAD, 2 ** 28)


@contextlib.contextmanager
def limited(n_bytes: int) -> Iterator[None]:
    """Lets the process get so many more bytes, and then a MemoryError.

    Does nothing where the system does not tell how much it has.

    Args:
        n_bytes: How many more it may get.
    """
    try:
        with open('/proc/self/statm') as f:
            has = int(f.read().split()[0]) * resource.getpagesize()
        limits = resource.getrlimit(resource.RLIMIT_AS)
    except (OSError, AttributeError):
        yield
        return
    wanted = has + n_bytes
    if limits[0] != resource.RLIM_INFINITY:
        wanted = min(wanted, limits[0])
    resource.setrlimit(resource.RLIMIT_AS, (wanted, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
