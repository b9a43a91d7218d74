"""Products of signs by floats, from tables of sums, for Numba's kernels.

Four terms of a sum meet one of 16 patterns of signs, or of 81 if a sign may
be 0.  So the four numbers of a column have 16 or 81 sums, which are computed
once and kept in a table.  A row of signs then costs one addition for each
four terms, where products of floats cost four multiply-adds.  (Arlazarov,
Dinic, Kronrod and Faradzev multiplied matrices of bits by such tables, "On
economical construction of the transitive closure of a directed graph", 1970.)

A pattern is a byte, of four digits: with :data:`SIGNS` 0 and 1 are -1 and +1;
with :data:`ZEROS` 0, 1 and 2 are -1, 0 and +1.  The first term has the lowest
digit.
"""
import itertools

import numba
import numpy
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from bnn.kernels import tiles

#: Terms of a pattern
TERMS = 4
#: How many patterns there are, without and with 0
SIGNS, ZEROS = 2 ** TERMS, 3 ** TERMS
#: Columns of a table
COLUMNS = 32
#: Patterns of a row whose tables are there at the same time, in the second
#: cache
GROUPS = 16
#: Where patterns are that follow one another
STEPS = numpy.arange(GROUPS)

# The sums of some rows fit into the registers, 32 of AVX-512 or 16 of AVX2,
# beside what is added to them.
LANES = 16 if tiles.FEATURES.get('avx512f') else 8
_VECTORS = COLUMNS // LANES
_ROWS = 12 // _VECTORS

_I8, _I64 = ir.IntType(8), ir.IntType(64)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_ENTRY = 4 * COLUMNS
_address, _size = numba.types.uintp, numba.types.intp


def pack(x: numpy.ndarray) -> numpy.ndarray:
    """Packs signs, four to a pattern; sign(0) is +1.

    Args:
        x: Numbers whose signs count, (n, k), any float dtype.

    Returns:
        (n, ceil(k / 16)), float32 of the bits of four patterns each.  Digits
        past the end are 0.
    """
    octets = numpy.packbits(x >= 0, axis=1, bitorder='little')
    patterns = numpy.zeros((len(x), -(-octets.shape[1] // 2), 4), numpy.uint8)
    halves = patterns.reshape(len(x), -1)[:, :2 * octets.shape[1]]
    halves[:, ::2], halves[:, 1::2] = octets & 15, octets >> 4
    return patterns.view(numpy.float32)[:, :, 0]


def _make_table(digits):
    """Makes an intrinsic that fills tables; a digit is one of some numbers."""
    @intrinsic
    def fill(typingctx, panel, panel_stride, n_groups, table):
        def generate(context, builder, signature, args):
            panel, panel_stride, n_groups, table = args
            size = len(digits) ** TERMS * _ENTRY
            with cgutils.for_range(builder, n_groups) as group:
                first = builder.mul(group.index, _I64(TERMS))
                rows = builder.add(panel, builder.mul(first, panel_stride))
                entries = builder.add(table, builder.mul(
                    group.index, _I64(size)))
                for column in range(0, COLUMNS, LANES):
                    _emit_sums(builder, digits, [tiles.load(
                        builder, tiles.word_address(
                            builder, tiles.row_address(
                                builder, rows, panel_stride, term), column),
                        _FLOATS) for term in range(TERMS)], entries, column)
            return context.get_dummy_value()

        return numba.types.void(_address, _size, _size, _address), generate
    return fill


def _emit_sums(builder, digits, terms, entries, column):
    """Writes the code that stores all sums of four vectors."""
    def multiply(x, digit):
        if digit == 1:
            return x
        if digit == -1:
            return builder.fneg(x)
        # 0 times infinity is no number, as in a product of floats.
        return builder.fmul(x, ir.Constant(_FLOATS, [0.] * LANES))

    products = [[multiply(x, digit) for digit in digits] for x in terms]
    low, high = ([builder.fadd(a, b) for b, a in itertools.product(
        second, first)] for first, second in (products[:2], products[2:]))
    for pattern, (b, a) in enumerate(itertools.product(high, low)):
        tiles.store(builder, builder.fadd(a, b), entries,
                    pattern * COLUMNS + column)


_fill_signs, _fill_zeros = _make_table((-1, 1)), _make_table((-1, 0, 1))


@intrinsic
def look_up(typingctx, n_patterns, patterns, stride, n_rows, groups, n_groups,
            table, y, y_stride):
    """Adds the sums of rows of patterns.

    Args:
        n_patterns, n_groups, table: As of :func:`fill`.
        patterns: Address of the patterns of the first row.
        stride: Bytes from a row to the next.
        n_rows: How many.
        groups: Address of where the patterns are in a row, int64, in bytes.
        y: Address of the sums, float32, row by row.
        y_stride: Bytes from a row to the next.
    """
    def generate(context, builder, signature, args):
        n_patterns, patterns, stride, n_rows, *others, y, y_stride = args
        size = builder.mul(n_patterns, _I64(_ENTRY))

        def emit(n, first):
            emit_rows(n, builder, builder.add(patterns, builder.mul(
                first, stride)), stride, *others, size, builder.add(
                    y, builder.mul(first, y_stride)), y_stride)

        n_whole = builder.sdiv(n_rows, _I64(_ROWS))
        with cgutils.for_range(builder, n_whole) as block:
            emit(_ROWS, builder.mul(block.index, _I64(_ROWS)))
        first = builder.mul(n_whole, _I64(_ROWS))
        after = builder.append_basic_block('rows_end')
        choice = builder.switch(builder.sub(n_rows, first), after)
        for n in range(1, _ROWS):
            piece = builder.append_basic_block(f'rows_{n}')
            choice.add_case(_I64(n), piece)
            builder.position_at_end(piece)
            emit(n, first)
            builder.branch(after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return numba.types.void(_size, _address, _size, _size, _address, _size,
                            _address, _address, _size), generate


def emit_rows(n_rows, builder, patterns, stride, groups, n_groups, table, size,
              y, y_stride):
    """Writes the code of some rows; see :data:`look_up`.

    ``size``: bytes of the table of a group.
    """
    vectors = range(0, COLUMNS, LANES)
    rows = [builder.inttoptr(tiles.row_address(
        builder, patterns, stride, i), _I8.as_pointer())
        for i in range(n_rows)]
    targets = [tiles.row_address(builder, y, y_stride, i)
               for i in range(n_rows)]
    groups = builder.inttoptr(groups, _I64.as_pointer())
    before = builder.block
    starts = [[tiles.load(builder, tiles.word_address(
        builder, target, column), _FLOATS) for column in vectors]
        for target in targets]
    loop = builder.append_basic_block('groups')
    after = builder.append_basic_block('end')
    builder.branch(loop)

    builder.position_at_end(loop)
    group, entries = builder.phi(_I64), builder.phi(_I64)
    group.add_incoming(_I64(0), before)
    entries.add_incoming(table, before)
    sums = [[builder.phi(_FLOATS) for _ in vectors] for _ in rows]
    place = builder.load(builder.gep(groups, [group]))
    results = []
    for row, totals in zip(rows, sums, strict=True):
        pattern = builder.zext(builder.load(builder.gep(row, [place])), _I64)
        entry = builder.add(entries, builder.mul(pattern, _I64(_ENTRY)))
        results.append([builder.fadd(total, tiles.load(
            builder, tiles.word_address(builder, entry, column), _FLOATS))
            for total, column in zip(totals, vectors, strict=True)])
    following = builder.add(group, _I64(1))
    group.add_incoming(following, loop)
    entries.add_incoming(builder.add(entries, size), loop)
    for ends in zip(sums, starts, results, strict=True):
        for total, start, result in zip(*ends, strict=True):
            total.add_incoming(start, before)
            total.add_incoming(result, loop)
    builder.cbranch(
        builder.icmp_signed('<', following, n_groups), loop, after)

    builder.position_at_end(after)
    for target, row in zip(targets, results, strict=True):
        for column, total in zip(vectors, row, strict=True):
            tiles.store(builder, total, target, column)


@numba.njit(error_model='numpy')
def fill(n_patterns, panel, panel_stride, n_groups, table):
    """Fills a table with the sums of 32 columns.

    Args:
        n_patterns: :data:`SIGNS` or :data:`ZEROS`.
        panel: Address of the columns, float32, term by term.
        panel_stride: Bytes from a term to the next.
        n_groups: How many times four terms, up to :data:`GROUPS`.
        table: Address of ``n_groups n_patterns 32`` float32, which begin a
            line of the cache.
    """
    if n_patterns == SIGNS:
        _fill_signs(panel, panel_stride, n_groups, table)
    else:
        _fill_zeros(panel, panel_stride, n_groups, table)


@intrinsic
def _space(typingctx):
    """Returns the address of space for a table, while the caller runs."""
    def generate(context, builder, signature, args):
        floats = ir.ArrayType(ir.FloatType(), GROUPS * SIGNS * COLUMNS)
        space = cgutils.alloca_once(builder, floats)
        space.align = 64
        return builder.ptrtoint(space, _I64)

    return numba.types.uintp(), generate


@numba.njit(error_model='numpy')
def multiply(patterns, stride, n_rows, groups, n_groups, panel, panel_stride,
             y, y_stride):
    """Adds the product of rows of +1 and -1 by 32 columns of floats.

    Args:
        patterns, stride, n_rows, groups, n_groups: As of :func:`look_up`.
        panel, panel_stride: As of :func:`fill`.
        y, y_stride: As of :func:`look_up`.
    """
    table = _space()
    fill(SIGNS, panel, panel_stride, n_groups, table)
    look_up(SIGNS, patterns, stride, n_rows, groups, n_groups, table, y,
            y_stride)
