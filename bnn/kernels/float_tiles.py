"""Products of floats, tile by tile, for Numba's kernels.

A tile adds the product of some rows by a panel of up to 64 columns to its
sums: ``y += a b``.  A word of rows and panel has 32 bits: one float32, or two
bfloat16 of neighbouring terms, the first in the low half.  The sums are of
float32 and stay in registers.

======================  ======  ===========  ===================
unit                    rows    a word has   instruction
======================  ======  ===========  ===================
:data:`FLOATS`          1 to 6  a float32    fused multiply-add
:data:`PAIRS`           1 to 6  2 bfloat16   AVX512-BF16's
:data:`MATRIX`          32      2 bfloat16   AMX's
:data:`SIGNS`           any     see below    addition
======================  ======  ===========  ===================

:data:`UNIT` is the best of the first three that the processor has.  The others
of bfloat16 are emulated, for the tests.

With :data:`SIGNS` the rows are +1 and -1, and a word of a panel is a float32.
A word of a row has four patterns of four signs, see
:mod:`bnn.kernels.sign_tables`.
"""
import functools

import numba
import numpy
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from bnn.kernels import amx
from bnn.kernels import sign_tables
from bnn.kernels import tiles

COLUMNS = tiles.COLUMNS
# Sums of six rows, columns and one row's word fit into the registers: 32 of
# AVX-512, 16 of AVX2.
LANES = sign_tables.LANES
VECTORS = 4 if LANES == 16 else 2
_MOST_ROWS = 6
# Two multiply-adds begin in a cycle, and each takes four.
_LEAST_SUMS = 6
# Words that are copied together; the excess of one copy is overwritten by the
# next.
RUN = 16
# Words that are added together
SHORT = 8

FLOATS, PAIRS, MATRIX, SIGNS = range(4)
NAMES = 'float32 vectors', 'AVX512-BF16', 'AMX'
# Of each unit: rows, and the words of a panel, come in blocks of so many; a
# word of a row meets so many of a panel; whether a word has two numbers
ROWS = 1, 1, amx.ROWS, 1
WORDS = 1, 1, amx.WORDS, 4 * sign_tables.TERMS
PER_WORD = 1, 1, 1, 4 * sign_tables.TERMS
IS_PAIRED = False, True, True, False
# Words that have a table
_TABLE = sign_tables.GROUPS * sign_tables.TERMS


def choose(features: dict[str, bool], has_amx: bool) -> int:
    """Chooses the unit for bfloat16.

    Args:
        features: Of the processor, by LLVM's names.
        has_amx: Whether AMX is there and may be used.

    Returns:
        The fastest unit that there is.
    """
    if has_amx:
        return MATRIX
    if features.get('avx512f') and features.get('avx512bf16'):
        return PAIRS
    return FLOATS


UNIT = choose(tiles.FEATURES, amx.ask(tiles.FEATURES))
_HAS_PAIRS = choose(tiles.FEATURES, False) == PAIRS

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_I32, LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_address, _size = numba.types.uintp, numba.types.intp


def _tile(emit):
    """Makes an intrinsic of a function that writes code."""
    @intrinsic
    def tile(typingctx, a, a_stride, n_rows, b, n_words, n_columns, y,
             y_stride):
        def generate(context, builder, signature, args):
            emit(builder, *args)
            return context.get_dummy_value()

        return numba.types.void(
            _address, _size, _size, _address, _size, _size, _address,
            _size), generate
    return tile


def emit(multiply_add, builder, a, a_stride, n_rows, b, n_words, n_columns, y,
         y_stride):
    """Writes the code of a tile: one piece of it for each number of rows.

    Args:
        multiply_add (callable): Takes a builder, sums, and the words of a row
            and of columns, all vectors; returns the sums with the products.
        builder (llvmlite.ir.IRBuilder): Where the code goes.
        a, a_stride, n_rows, b, n_words, n_columns, y, y_stride: See
            :data:`float_tile`.
    """
    after = builder.append_basic_block('rows_end')
    choice = builder.switch(n_rows, after)
    for n in range(1, _MOST_ROWS + 1):
        piece = builder.append_basic_block(f'rows_{n}')
        choice.add_case(_I64(n), piece)
        builder.position_at_end(piece)
        _emit_rows(multiply_add, n, builder, a, a_stride, b, n_words,
                   n_columns, y, y_stride)
        builder.branch(after)
    builder.position_at_end(after)


def _emit_rows(multiply_add, n_rows, builder, a, a_stride, b, n_words,
               n_columns, y, y_stride):
    """Writes a loop over the columns, some vectors at a time."""
    n_vectors = VECTORS
    while n_rows * n_vectors < _LEAST_SUMS and n_vectors * LANES < COLUMNS:
        n_vectors *= 2

    def add(total, row, column):
        return multiply_add(builder, total, row, column)

    rows = [tiles.row_address(builder, a, a_stride, i) for i in range(n_rows)]
    with cgutils.for_range_slice(builder, _I64(0), n_columns, _I64(
            n_vectors * LANES)) as (first, _):
        offset = builder.mul(first, _I64(4))
        panel, target = (builder.add(address, offset) for address in (b, y))
        targets = [tiles.row_address(builder, target, y_stride, i)
                   for i in range(n_rows)]
        vectors = range(0, n_vectors * LANES, LANES)
        sums = tiles.add_up(
            builder, add, rows, [panel], n_words, 0,
            [[tiles.load(builder, tiles.word_address(
                builder, target, column), _FLOATS) for column in vectors]
             for target in targets])
        for target, row in zip(targets, sums, strict=True):
            for column, total in zip(vectors, row, strict=True):
                tiles.store(builder, total, target, column)


def _emit_matrix(builder, a, a_stride, n_rows, b, n_words, n_columns, y,
                 y_stride):
    amx.emit('tdpbf16ps', True, builder, a, a_stride, b, n_words, y, y_stride)


def _emulate(builder, a, a_stride, n_rows, b, n_words, n_columns, y,
             y_stride):
    """Writes a tile of pairs for any processor: one row after the other."""
    with cgutils.for_range(builder, n_rows) as row:
        _emit_rows(multiply_pairs, 1, builder,
                   builder.add(a, builder.mul(a_stride, row.index)), a_stride,
                   b, n_words, n_columns,
                   builder.add(y, builder.mul(y_stride, row.index)), y_stride)


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


#: Addresses; ``b``: (n_words, 64) words; strides of rows in bytes; 1 to 6
#: rows, at least one word; the columns that are not asked for may be computed
#: or not: ``(a, a_stride, n_rows, b, n_words, n_columns, y, y_stride)``.
float_tile = _tile(functools.partial(emit, multiply_floats))
#: The same of words of two bfloat16.
pair_tile = _tile(functools.partial(emit, multiply_pairs_by_unit)
                  if _HAS_PAIRS else _emulate)
#: The same of 32 rows and 64 columns, whose words are a multiple of 16.
matrix_tile = _tile(_emit_matrix if UNIT == MATRIX else _emulate)
_ready, _release = (amx.for_kernels(emit, UNIT == MATRIX)
                    for emit in (amx.ready, amx.release))


@numba.njit(error_model='numpy')
def multiply(unit, a, a_stride, n_rows, panel, n_words, n_columns, y,
             y_stride):
    """Adds the product of rows by a panel; for addresses see a tile.

    Rows and words are whole blocks of the unit; ``y`` has room for 64
    columns.
    """
    if unit == SIGNS:
        for word in range(0, n_words, _TABLE):
            for column in range(0, n_columns, sign_tables.COLUMNS):
                sign_tables.multiply(
                    a + word // sign_tables.TERMS, a_stride, n_rows,
                    sign_tables.STEPS.ctypes.data,
                    min(_TABLE, n_words - word) // sign_tables.TERMS,
                    panel + 4 * (word * COLUMNS + column), 4 * COLUMNS,
                    y + 4 * column, y_stride)
        return
    n_together = max(ROWS[unit], _MOST_ROWS)
    if unit == MATRIX:
        _ready()
    for i in range(0, n_rows, n_together):
        row, target = a + i * a_stride, y + i * y_stride
        n = min(n_together, n_rows - i)
        if unit == MATRIX:
            matrix_tile(row, a_stride, n, panel, n_words, n_columns, target,
                        y_stride)
        elif unit == PAIRS:
            pair_tile(row, a_stride, n, panel, n_words, n_columns, target,
                      y_stride)
        else:
            float_tile(row, a_stride, n, panel, n_words, n_columns, target,
                       y_stride)
    if unit == MATRIX:
        _release()


@numba.njit(error_model='numpy')
def bfloat16(value):
    """Returns the 16 bits of a float32 rounded to bfloat16."""
    # Each step as uint32: Numba makes uint64 of them, and half the vectors.
    bits = numpy.float32(value).view(numpy.uint32)
    half = numpy.uint32(bits >> numpy.uint32(16))
    rounded = numpy.uint32(bits + numpy.uint32(0x7FFF) + (
        half & numpy.uint32(1))) >> numpy.uint32(16)
    # Not infinity, if a NaN is rounded up
    return numpy.uint32(
        rounded if value == value else half | numpy.uint32(64))


# These are inlined: a call counts the references to its arrays, as all threads
# do for the same images, which takes longer than a short row.


@numba.njit(error_model='numpy', inline='always')
def copy(x, is_rounded, scale, y):
    """Copies numbers times a scale, rounded to bfloat16 or not."""
    if is_rounded:
        for i in range(x.size):
            y[i] = numpy.uint32(bfloat16(scale * x[i]) << numpy.uint32(
                16)).view(numpy.float32)
    else:
        for i in range(x.size):
            y[i] = scale * x[i]


@numba.njit(error_model='numpy', inline='always')
def fill(value, row):
    """Fills a row, by vectors, which ``row[:] = value`` is not."""
    for i in range(row.size):
        row[i] = value


@numba.njit(error_model='numpy', inline='always')
def pair_up(low, high, words):
    """Makes words of the numbers of two arrays, rounded to bfloat16."""
    for i in range(low.size):
        words[i] = bfloat16(low[i]) | (bfloat16(high[i]) << numpy.uint32(16))


@numba.njit(error_model='numpy')
def whole(n, block):
    """Returns the least multiple of a number that is not less than ``n``."""
    return -(-n // block) * block


@numba.njit(error_model='numpy')
def make_panel(n_words):
    """Makes a panel of so many words a column, with room for one copy more.

    It begins with a line of the cache, which a vector is as long as.  Columns
    that are never filled are multiplied too, so all are 0: what memory holds
    may be subnormal numbers, which take Intel's processors over a hundred
    cycles each.
    """
    space = numpy.zeros(n_words * COLUMNS + 2 * RUN, numpy.float32)
    skipped = (-numpy.int64(space.ctypes.data) % 64) // 4
    return space[skipped:skipped + n_words * COLUMNS + RUN]


def _number(builder, array, i):
    return builder.load(builder.gep(builder.inttoptr(
        array, _I64.as_pointer()), [i]))


def _word(builder, address, i):
    return builder.gep(builder.inttoptr(address, _I32.as_pointer()), [i])


def _store(builder, value, pointer):
    builder.store(value, builder.bitcast(
        pointer, value.type.as_pointer())).align = 4


@intrinsic
def _fetch(typingctx, address):
    """Fetches a line of the cache that will be written."""
    def generate(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(
                ir.VoidType(), [pointer.type, _I32, _I32, _I32]),
            'llvm.prefetch.p0i8')
        # To write, for all caches, data
        builder.call(fetch, [pointer, _I32(1), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return numba.types.void(_address), generate


@numba.njit(error_model='numpy')
def fetch_rows(y, stride, n_rows, n_words):
    """Fetches rows that will be written, while the processor multiplies.

    Args:
        y: Address of the first row.
        stride: Bytes from a row to the next.
        n_rows, n_words: How many, and words of each.
    """
    for r in range(n_rows):
        for word in range(0, n_words, RUN):
            _fetch(y + r * stride + 4 * word)


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
        kind = ir.VectorType(_I32, RUN)
        with cgutils.for_range(builder, n_terms) as term:
            first = _number(builder, terms, term.index)
            row = builder.mul(term.index, _I64(COLUMNS))
            with cgutils.for_range(builder, n_copies) as copy:
                value = tiles.load(builder, _word(builder, image, builder.add(
                    first, _number(builder, sources, copy.index))), kind)
                _store(builder, value, _word(builder, panel, builder.add(
                    row, _number(builder, targets, copy.index))))
        return context.get_dummy_value()

    return numba.types.void(_address, _address, _size, _address, _address,
                            _size, _address), generate


@intrinsic
def scatter(typingctx, panel, terms, n_terms, sources, targets, masks,
            n_copies, image):
    """Adds rows of a panel to an image, the reverse of :func:`gather`.

    ``image[terms[k] + targets[c]:][:8] += panel[k, sources[c]:][:8]`` for one
    ``c`` after the other, of what ``masks[c]`` has all bits set for; to the
    others of the eight 0 is added.  Addresses; float32 of the panel and the
    image; int32 (n_copies, 8) ``masks``, the others as of :func:`gather`.
    """
    def generate(context, builder, signature, args):
        panel, terms, n_terms, sources, targets, masks, n_copies, image = args
        words, floats = (ir.VectorType(kind, SHORT)
                         for kind in (_I32, ir.FloatType()))
        with cgutils.for_range(builder, n_copies) as copy:
            mask = tiles.load(builder, _word(builder, masks, builder.mul(
                copy.index, _I64(SHORT))), words)
            source = _number(builder, sources, copy.index)
            first = _number(builder, targets, copy.index)
            with cgutils.for_range(builder, n_terms) as term:
                value = tiles.load(builder, _word(builder, panel, builder.add(
                    builder.mul(term.index, _I64(COLUMNS)), source)), words)
                target = _word(builder, image, builder.add(
                    first, _number(builder, terms, term.index)))
                _store(builder, builder.fadd(
                    tiles.load(builder, target, floats),
                    builder.bitcast(builder.and_(value, mask), floats)),
                       target)
        return context.get_dummy_value()

    return numba.types.void(_address, _address, _size, _address, _address,
                            _address, _size, _address), generate


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
