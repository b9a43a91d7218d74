"""Steps of products of bytes, uint8 by int8, for Numba's kernels.

A tile is :data:`ROWS` rows by 64 columns, as those of
:mod:`bnn.kernels.tiles`.  A word has four bytes of a row, or of a column.  The
sums are whole numbers of 32 bits.  AVX-512's VNNI multiplies a word of a row
by those of 16 columns, Intel's matrix unit (AMX) 16 words of 16 rows by those
of 16 columns.
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
# Whether the processor multiplies bytes
IS_AVAILABLE = HAS_AMX or bool(
    tiles.FEATURES.get('avx512vnni') and tiles.FEATURES.get('avx512f'))

# Sums, columns and one row's word fit into the 32 registers of AVX-512.
_VECTOR_ROWS = 6
ROWS = amx.ROWS if HAS_AMX else _VECTOR_ROWS
# The length of a row is a multiple of so many bytes, the rest of them 0.
DEPTH = 4 * amx.WORDS if HAS_AMX else 4

_LANES = 16
_WORDS = ir.VectorType(ir.IntType(32), _LANES)
_address, _size = numba.types.uintp, numba.types.intp


@intrinsic
def byte_tile(typingctx, a, a_stride, b, n_words, y, y_stride):
    """Multiplies :data:`ROWS` rows of uint8 by 64 columns of int8.

    ``y = a b``, int32; word for word 64 columns, as of
    :class:`bnn.kernels.bits.Columns`.  Addresses; strides of rows in bytes;
    at least one word, and a multiple of :data:`DEPTH` bytes.  Needs
    :data:`IS_AVAILABLE`.
    """
    def generate(context, builder, signature, args):
        if HAS_AMX:
            multiply_tiles(builder, *args)
        elif IS_AVAILABLE:  # else compiled all the same, but never called
            multiply_vectors(builder, *args)
        return context.get_dummy_value()

    return numba.types.void(
        _address, _size, _address, _size, _address, _size), generate


def multiply_vectors(builder, a, a_stride, b, n_words, y, y_stride):
    """Writes the code of :func:`byte_tile` for VNNI."""
    dot = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_WORDS, [_WORDS] * 3),
        'llvm.x86.avx512.vpdpbusd.512')

    def add(total, row, column):
        return builder.call(dot, [total, row, column])

    n_vectors = COLUMNS // _LANES
    sums = tiles.add_up(
        builder, add, [tiles.row_address(builder, a, a_stride, i)
                       for i in range(_VECTOR_ROWS)], [b], n_words, 0,
        [[ir.Constant(_WORDS, [0] * _LANES)] * n_vectors] * _VECTOR_ROWS)
    for i, row in enumerate(sums):
        for v, vector in enumerate(row):
            tiles.store(builder, vector, tiles.row_address(
                builder, y, y_stride, i), v * _LANES)


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
