"""Launches of kernels that are written out in CUDA C, for this package.

CuPy is imported when one is launched, not before: what arranges a launch is
tested on the CPU too, where a test replaces :func:`launch`.
"""
import functools

import numpy


@functools.cache
def _module(source):
    import cupy

    # The rounding of each operation alone, so that the results are those of
    # NumPy: a fused multiply-add rounds once for two.
    return cupy.RawModule(code=source, options=('--fmad=false',))


@functools.cache
def _function(source, name):
    return _module(source).get_function(name)


def launch(source, name, n_blocks, n_threads, *args):
    """Queues a kernel on the current stream.

    Args:
        source (str): The program, in CUDA C.
        name (str): Its kernel, ``extern "C"``.
        n_blocks, n_threads (int): Size of the launch, of one dimension.
        args: Arrays on the device and scalars of NumPy, of the very types of
            the kernel's arguments.
    """
    _function(source, name)((n_blocks,), (n_threads,), args)


def array_module(x):
    """Returns NumPy or CuPy, whichever an array is of."""
    if isinstance(x, numpy.ndarray):
        return numpy
    import cupy
    return cupy


def address(x):
    """Returns where the first element of an array is in its memory."""
    return x.ctypes.data if isinstance(x, numpy.ndarray) else x.data.ptr


def fill(array, values):
    """Copies values of the host into an array.

    Args:
        array (numpy.ndarray or cupy.ndarray): C-contiguous, changed.
        values (numpy.ndarray): Of its shape and dtype.
    """
    if isinstance(array, numpy.ndarray):
        array[...] = values
    else:
        array.set(values)
