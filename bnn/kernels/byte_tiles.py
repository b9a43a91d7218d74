"""Steps of products of bytes, uint8 by int8, for Numba's kernels.

A tile is :data:`ROWS` rows by 64 columns, as those of
:mod:`bnn.kernels.tiles`.  A word has four bytes of a row, or of a column.  The
sums are whole numbers of 32 bits.  Intel's matrix unit (AMX) multiplies 16
words of 16 rows by those of 16 columns, AVX-512's VNNI a word of a row by
those of 16 columns.  AVX2 does so by 8 columns, for small columns alone: its
sums of two products have 16 bits.
"""
import functools

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from bnn.kernels import amx
from bnn.kernels import tiles

COLUMNS = tiles.COLUMNS
HAS_AMX = amx.ask(tiles.FEATURES, 'int8')
HAS_VNNI = bool(
    tiles.FEATURES.get('avx512vnni') and tiles.FEATURES.get('avx512f'))
# Whether the processor multiplies bytes
IS_AVAILABLE = HAS_AMX or HAS_VNNI or bool(tiles.FEATURES.get('avx2'))

# Sums, columns and one row's word fit into the registers, 32 of AVX-512 or 16
# of AVX2.
_VNNI_ROWS, _AVX2_ROWS = 6, 4
ROWS = amx.ROWS if HAS_AMX else _VNNI_ROWS if HAS_VNNI else _AVX2_ROWS
# The length of a row is a multiple of so many bytes, the rest of them 0.
DEPTH = 4 * amx.WORDS if HAS_AMX else 4

# Words whose sums of pairs fit into 16 bits, for columns of at most so much:
# 2 * 255 * 8 * 8 < 2^15
_RUN = _SMALL = 8
# The largest size of a column's number
LARGEST = 127 if HAS_AMX or HAS_VNNI else _SMALL

_I32 = ir.IntType(32)
_address, _size = numba.types.uintp, numba.types.intp


@intrinsic
def byte_tile(typingctx, a, a_stride, b, n_words, y, y_stride):
    """Multiplies :data:`ROWS` rows of uint8 by 64 columns of int8.

    ``y = a b``, int32; word for word 64 columns, as of
    :class:`bnn.kernels.bits.Columns`.  Addresses; strides of rows in bytes;
    at least one word, and a multiple of :data:`DEPTH` bytes.  Needs
    :data:`IS_AVAILABLE`, and runs between :func:`ready` and :func:`release`.
    """
    def generate(context, builder, signature, args):
        if HAS_AMX:
            multiply_tiles(builder, *args)
        elif HAS_VNNI:
            multiply_words(builder, *args)
        elif IS_AVAILABLE:  # else compiled all the same, but never called
            multiply_pairs(builder, *args)
        return context.get_dummy_value()

    return numba.types.void(
        _address, _size, _address, _size, _address, _size), generate


@numba.njit(error_model='numpy', inline='always')
def copy_row(x, row):
    """Copies bytes to the beginning of a row; the rest of it becomes 0."""
    for i in range(len(x)):
        row[i] = x[i]
    rest = row[len(x):]
    for i in range(len(rest)):
        rest[i] = 0


ready, release = (amx.for_kernels(emit, HAS_AMX)
                  for emit in (amx.ready, amx.release))


def multiply_words(builder, a, a_stride, b, n_words, y, y_stride):
    """Writes the code of :func:`byte_tile` for VNNI."""
    words = ir.VectorType(_I32, 16)
    dot = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(words, [words] * 3),
        'llvm.x86.avx512.vpdpbusd.512')

    def add(total, row, column):
        return builder.call(dot, [total, row, column])

    rows = [tiles.row_address(builder, a, a_stride, i)
            for i in range(_VNNI_ROWS)]
    _store(builder, tiles.add_up(
        builder, add, rows, [b], n_words, 0, _zeros(words, _VNNI_ROWS, 4)),
        y, y_stride, 0)


def multiply_pairs(builder, a, a_stride, b, n_words, y, y_stride):
    """Writes the code of :func:`byte_tile` for AVX2."""
    words, pairs, octets = (ir.VectorType(ir.IntType(256 // n), n)
                            for n in (8, 16, 32))
    dot = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(pairs, [octets] * 2),
        'llvm.x86.avx2.pmadd.ub.sw')
    join = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(words, [pairs] * 2),
        'llvm.x86.avx2.pmadd.wd')

    def add(total, row, column):
        products = builder.call(dot, [
            builder.bitcast(row, octets), builder.bitcast(column, octets)])
        return builder.bitcast(builder.add(
            builder.bitcast(total, pairs), products), words)

    def widen(total):
        return builder.call(join, [
            builder.bitcast(total, pairs), ir.Constant(pairs, [1] * 16)])

    rows = [tiles.row_address(builder, a, a_stride, i)
            for i in range(_AVX2_ROWS)]
    for first in range(0, COLUMNS, 16):
        _store(builder, tiles.add_up_in_runs(
            builder, add, widen, _RUN, rows, [b], n_words, first,
            _zeros(words, _AVX2_ROWS, 2)), y, y_stride, first)


def _zeros(kind, n_rows, n_vectors):
    return [[ir.Constant(kind, [0] * kind.count)] * n_vectors] * n_rows


def _store(builder, sums, y, y_stride, first):
    for i, row in enumerate(sums):
        for v, vector in enumerate(row):
            tiles.store(builder, vector, tiles.row_address(
                builder, y, y_stride, i), first + v * vector.type.count)


#: Writes the code of :func:`byte_tile` for AMX.
multiply_tiles = functools.partial(amx.emit, 'tdpbusd', False)


@intrinsic
def bytes_of_32(typingctx, bits, target):
    """Makes 32 bytes, 0 or 1, of the bits of a word."""
    def generate(context, builder, signature, args):
        octets = builder.zext(
            builder.bitcast(args[0], ir.VectorType(ir.IntType(1), 32)),
            ir.VectorType(ir.IntType(8), 32))
        tiles.store(builder, octets, args[1], 0)
        return context.get_dummy_value()

    return numba.types.void(numba.types.uint32, _address), generate
