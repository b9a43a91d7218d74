"""Results that are larger than the cache, written past it.

A processor fetches a line of memory before it writes a part of it.  What is
written by whole lines needs no fetching, and what is not read again before
other data have taken its place need not take the place of other data: such
stores are called non-temporal, or streaming.  A kernel computes a plane in the
cache and then copies it out with :func:`copy`.
"""
from __future__ import annotations

import math

import numba
import numpy
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from bnn.kernels import tiles

# Bytes that no cache of two cores is expected to hold until they are read
_LARGE = 1 << 25
_LINE = 64
_LINE_OF_WORDS = ir.VectorType(ir.IntType(32), _LINE // 4)


def empty(shape: tuple[int, ...], dtype: numpy.dtype) -> numpy.ndarray:
    """Makes an array that begins with a line of memory.

    Loads and stores of vectors that cross lines take twice as long.

    Args:
        shape: Its shape.
        dtype: Its dtype.

    Returns:
        What :func:`numpy.empty` returns, but for the address.
    """
    n, step = math.prod(shape), numpy.dtype(dtype).itemsize
    space = numpy.empty(n + _LINE // step, dtype)
    skipped = -space.ctypes.data % _LINE // step
    return space[skipped:skipped + n].reshape(shape)


def is_streamed(y: numpy.ndarray, n_contiguous: int) -> bool:
    """Tells whether a result is to be written past the cache.

    Args:
        y: The result, of :func:`empty`.
        n_contiguous: Elements that are copied together.

    Returns:
        Whether it is large, and they are whole lines.
    """
    return (y.nbytes >= _LARGE and y.ctypes.data % _LINE == 0
            and n_contiguous * y.itemsize % _LINE == 0)


@intrinsic
def copy(typingctx, source, target, n_bytes):
    """Copies bytes past the cache.

    Args:
        source: Address of the first word, any.
        target: Where it goes, the address of a line.
        n_bytes: How many, whole lines of 64 bytes.
    """
    def generate(context, builder, signature, args):
        source, target, n_bytes = args
        line = _LINE_OF_WORDS.as_pointer()
        mark = builder.module.add_metadata([ir.IntType(32)(1)])
        with cgutils.for_range_slice(
                builder, ir.IntType(64)(0), n_bytes,
                ir.IntType(64)(_LINE)) as (offset, _):
            value = tiles.load(
                builder, builder.inttoptr(
                    builder.add(source, offset),
                    ir.IntType(32).as_pointer()), _LINE_OF_WORDS)
            stored = builder.store(value, builder.inttoptr(
                builder.add(target, offset), line))
            stored.align = _LINE
            stored.set_metadata('nontemporal', mark)
        return context.get_dummy_value()

    return numba.types.void(
        numba.types.uintp, numba.types.uintp, numba.types.intp), generate


@intrinsic
def finish(typingctx):
    """Lets other threads see what this one has copied.

    Each iteration of a parallel loop calls it after its last copy.
    """
    def generate(context, builder, signature, args):
        builder.fence('seq_cst')  # a lesser one is no instruction on x86
        return context.get_dummy_value()

    return numba.types.void(), generate
