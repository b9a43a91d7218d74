"""Steps of products of floats as LLVM vectors, for Numba's kernels.

A tile is :data:`ROWS` rows by 64 columns of 32-bit words, as those of
:mod:`bnn.kernels.tiles`.  A word is a float32, or two bfloat16 that belong to
neighbouring terms.  The sums are of float32 and stay in registers.
"""
import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from bnn.kernels import tiles

COLUMNS = tiles.COLUMNS
# Sums, columns and one row's word fit into the registers: 32 of AVX-512, 16
# of AVX2.
LANES = 16 if tiles.FEATURES.get('avx512f') else 8
VECTORS = 4 if LANES == 16 else 2
ROWS = 6
# Words that are copied together; the excess of one copy is overwritten by the
# next.
RUN = 16
# Whether the processor multiplies bfloat16 in vectors
HAS_BFLOAT16 = bool(tiles.FEATURES.get('avx512bf16') and LANES == 16)

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_I32, LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_address, _size = numba.types.uintp, numba.types.intp


def _tile(multiply_add):
    """Makes ``y += a b`` of 6 rows by 64 columns.

    Args:
        multiply_add (callable): Takes a builder, sums, and the words of a row
            and of columns, all vectors; returns the sums with the products.
    """
    @intrinsic
    def tile(typingctx, a, a_stride, b, n_words, y, y_stride):
        def generate(context, builder, signature, args):
            emit(builder, multiply_add, *args)
            return context.get_dummy_value()

        return numba.types.void(
            _address, _size, _address, _size, _address, _size), generate
    return tile


def emit(builder, multiply_add, a, a_stride, b, n_words, y, y_stride):
    """Writes the code of a tile; see :func:`float_tile`."""
    def add(total, row, column):
        return multiply_add(builder, total, row, column)

    rows, targets = (
        [tiles.row_address(builder, address, stride, i) for i in range(ROWS)]
        for address, stride in ((a, a_stride), (y, y_stride)))
    for first in range(0, COLUMNS, LANES * VECTORS):
        vectors = range(first, first + LANES * VECTORS, LANES)
        sums = tiles.add_up(
            builder, add, rows, [b], n_words, first,
            [[tiles.load(builder, tiles.word_address(
                builder, target, column), _FLOATS) for column in vectors]
             for target in targets])
        for target, row in zip(targets, sums, strict=True):
            for column, total in zip(vectors, row, strict=True):
                tiles.store(builder, total, target, column)


def multiply_floats(builder, total, a, b):
    """Adds the products of float32."""
    return _fused(builder, total, builder.bitcast(a, _FLOATS),
                  builder.bitcast(b, _FLOATS))


def multiply_pairs(builder, total, a, b):
    """Adds both products of pairs of bfloat16."""
    for half in (lambda words: builder.shl(words, _splat(16)),
                 lambda words: builder.and_(words, _splat(0xFFFF0000))):
        total = multiply_floats(builder, total, half(a), half(b))
    return total


def multiply_pairs_by_unit(builder, total, a, b):
    """Adds both products of pairs of bfloat16, in one AVX512-BF16 step."""
    pairs = ir.VectorType(_BFloat16(), 2 * LANES)
    dot = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_FLOATS, [_FLOATS, pairs, pairs]),
        'llvm.x86.avx512bf16.dpbf16ps.512')
    return builder.call(dot, [
        total, builder.bitcast(a, pairs), builder.bitcast(b, pairs)])


class _BFloat16(ir.Type):
    """LLVM's type, which llvmlite does not have."""

    def __str__(self):
        return 'bfloat'

    def __eq__(self, other):
        return isinstance(other, _BFloat16)

    def __hash__(self):
        return hash(_BFloat16)


def _fused(builder, total, a, b):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3),
        f'llvm.fmuladd.v{LANES}f32')
    return builder.call(function, [a, b, total])


def _splat(value):
    return ir.Constant(_WORDS, [value] * LANES)


#: Adds to ``y`` the product of 6 rows by 64 columns: ``y += a b``.  Addresses
#: of float32; ``b``: (n_words, 64); strides of rows in bytes; at least one
#: word: ``(a, a_stride, b, n_words, y, y_stride)``.
float_tile = _tile(multiply_floats)
#: The same of words of two bfloat16, the first in the low half.
pair_tile = _tile(multiply_pairs_by_unit if HAS_BFLOAT16 else multiply_pairs)


@intrinsic
def gather(typingctx, image, terms, n_terms, sources, targets, n_copies,
           panel):
    """Fills rows of a panel from an image.

    ``panel[k, targets[c]:][:16] = image[terms[k] + sources[c]:][:16]`` for
    one ``c`` after the other.  Addresses; words of the image and the panel;
    int64 ``terms``, ``sources`` and ``targets``.
    """
    def generate(context, builder, signature, args):
        image, terms, n_terms, sources, targets, n_copies, panel = args
        kind = ir.VectorType(_I32, 16)

        def number(array, i):
            return builder.load(builder.gep(builder.inttoptr(
                array, _I64.as_pointer()), [i]))

        def at(address, i):
            return builder.bitcast(builder.gep(builder.inttoptr(
                address, _I32.as_pointer()), [i]), kind.as_pointer())

        with cgutils.for_range(builder, n_terms) as term:
            first = number(terms, term.index)
            row = builder.mul(term.index, _I64(COLUMNS))
            with cgutils.for_range(builder, n_copies) as copy:
                value = builder.load(at(image, builder.add(
                    first, number(sources, copy.index))))
                value.align = 4
                builder.store(value, at(panel, builder.add(
                    row, number(targets, copy.index)))).align = 4
        return context.get_dummy_value()

    return numba.types.void(_address, _address, _size, _address, _address,
                            _size, _address), generate


@intrinsic
def transpose(typingctx, x, x_stride, y, y_stride):
    """Transposes 16 by 16 words; addresses, strides of rows in bytes."""
    def generate(context, builder, signature, args):
        x, x_stride, y, y_stride = args
        kind = ir.VectorType(_I32, 16)
        rows = [tiles.load(builder, tiles.word_address(
            builder, tiles.row_address(builder, x, x_stride, i), 0), kind)
            for i in range(16)]
        for i, row in enumerate(tiles.transpose(builder, rows)):
            tiles.store(builder, row, tiles.row_address(
                builder, y, y_stride, i), 0)
        return context.get_dummy_value()

    return numba.types.void(_address, _size, _address, _size), generate
