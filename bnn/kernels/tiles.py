"""Steps of the XNOR-popcount product as LLVM vectors, for Numba's kernels.

A tile is a few packed rows by 64 packed columns.  For each word of the rows
the step loads the columns' words, xors them with the row's and adds up the
bits that differ; the sums stay in registers.  LLVM's own vectorizer takes
half of AVX-512's registers and keeps the sums in memory, so the vectors are
written out here.  Without VPOPCNTDQ the bits of bytes are counted, and their
sums widened before they overflow.  On other processors than x86 LLVM splits
the vectors: the results are the same everywhere.
"""
import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic


def _find_features():
    # The features of the processor that Numba compiles for.  NUMBA_CPU_NAME
    # or NUMBA_CPU_FEATURES may name another than this one, and LLVM ends the
    # process at an instruction that it does not have.
    if numba.config.CPU_FEATURES is not None:
        return {word[1:]: word[0] == '+'
                for word in numba.config.CPU_FEATURES.split(',') if word}
    try:
        features = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know
        return {}
    return {name: has and not (
        name.startswith('avx') and not numba.config.ENABLE_AVX)
            for name, has in features.items()}


FEATURES = _find_features()
IS_WIDE = bool(FEATURES.get('avx512vpopcntdq') and FEATURES.get('avx512f'))

# Columns of a tile; for each word they follow one another in memory.
COLUMNS = 64
# Rows that are computed together, and the vectors of columns: sums, operands
# and one temporary fit into the registers, 32 of AVX-512 or 16 of AVX2.
ROWS = 6 if IS_WIDE else 2
LANES = 16 if IS_WIDE else 8
VECTORS = 4 if IS_WIDE else 2
_GROUPS = COLUMNS // (LANES * VECTORS)

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_I32, LANES)
_NO_BITS = ir.Constant(_WORDS, [0] * LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_address, _size = numba.types.uintp, numba.types.intp


@intrinsic
def xnor_tile(typingctx, a, a_stride, b, n_words, k, y, y_stride):
    """Multiplies :data:`ROWS` packed rows by :data:`COLUMNS` packed columns.

    ``y[i, j] = k - 2 popcount(a[i] xor b[:, j])``, float32.  Addresses;
    strides of rows in bytes; at least one word.
    """
    def generate(context, builder, signature, args):
        for group in range(_GROUPS):
            _multiply(builder, args, group * LANES * VECTORS)
        return context.get_dummy_value()

    return numba.types.void(_address, _size, _address, _size, _size,
                            _address, _size), generate


def _multiply(builder, args, first):
    a, a_stride, b, n_words, k, y, y_stride = args
    counts = count(builder, builder.xor, [
        row_address(builder, a, a_stride, i) for i in range(ROWS)],
        [b], n_words, first, VECTORS)
    k = splat(builder, builder.trunc(k, _I32), _WORDS)
    for i in range(ROWS):
        row = row_address(builder, y, y_stride, i)
        for v in range(VECTORS):
            dot = builder.sub(k, builder.add(counts[i][v], counts[i][v]))
            store(builder, builder.sitofp(dot, _FLOATS), row,
                  first + v * LANES)


@intrinsic
def masked_xnor_tile(typingctx, a, a_stride, b, masks, n_words, n_set, y,
                     y_stride):
    """Multiplies :data:`ROWS` packed rows by 64 columns of -1, 0 and +1.

    Panels of 64 columns, word for word: a bit of ``b`` tells the sign, where
    that of ``masks`` is 1; else the element is 0.
    ``y[i, j] = n_set[j] - 2 popcount(masks[:, j] and (a[i] xor b[:, j]))``,
    float32.  ``n_set``: int32, how many are not 0 in each column.
    Addresses; strides in bytes; at least one word.
    """
    def generate(context, builder, signature, args):
        a, a_stride, b, masks, n_words, n_set, y, y_stride = args
        rows = [row_address(builder, a, a_stride, i) for i in range(ROWS)]

        def differ(row, signs, mask):
            return builder.and_(mask, builder.xor(row, signs))

        for first in range(0, COLUMNS, LANES * VECTORS):
            counts = count(builder, differ, rows, [b, masks], n_words,
                           first, VECTORS)
            for v in range(VECTORS):
                column = first + v * LANES
                k = load(builder, word_address(builder, n_set, column),
                         _WORDS)
                for i in range(ROWS):
                    dot = builder.sub(
                        k, builder.add(counts[i][v], counts[i][v]))
                    store(builder, builder.sitofp(dot, _FLOATS),
                          row_address(builder, y, y_stride, i), column)
        return context.get_dummy_value()

    return numba.types.void(_address, _size, _address, _address, _size,
                            _address, _address, _size), generate


@intrinsic
def count_columns(typingctx, panel, n_words, counts):
    """Counts the bits of 64 columns, word for word, as int32."""
    def generate(context, builder, signature, args):
        panel, n_words, counts = args
        for first in range(0, COLUMNS, LANES):
            (total,), = count(builder, lambda row, column: column, [panel],
                              [panel], n_words, first, 1)
            store(builder, total, counts, first)
        return context.get_dummy_value()

    return numba.types.void(_address, _size, _address), generate


def count(builder, mix, rows, panels, n_words, first, n_vectors):
    """Counts bits of something of rows and columns, in a loop over words.

    Args:
        builder (llvmlite.ir.IRBuilder): Where the code goes.
        mix (callable): Takes vectors: the word of a row, and the words of
            columns in each panel; returns the bits to count.
        rows, panels, n_words, first: As of :func:`add_up`.
        n_vectors (int): Vectors of columns.

    Returns:
        list of list: Vectors of int32, row by row.
    """
    none = [[_NO_BITS] * n_vectors] * len(rows)
    if IS_WIDE:
        def add_words(total, *words):
            return builder.add(total, _popcount(builder, mix(*words)))

        return add_up(builder, add_words, rows, panels, n_words, first, none)

    # Only bytes are counted fast: their sums are widened before they overflow.
    octets = ir.VectorType(_I8, 4 * LANES)

    def add(total, *words):
        counts = _popcount(builder, builder.bitcast(mix(*words), octets))
        return builder.bitcast(builder.add(
            builder.bitcast(total, octets), counts), _WORDS)

    def widen(total):
        for bits, mask in (8, 0x00FF00FF), (16, 0x0000FFFF):
            every, shift = (ir.Constant(_WORDS, [value] * LANES)
                            for value in (mask, bits))
            total = builder.add(
                builder.and_(total, every),
                builder.and_(builder.lshr(total, shift), every))
        return total

    return add_up_in_runs(builder, add, widen, 255 // 8, rows, panels,
                          n_words, first, none)


def add_up_in_runs(builder, add, widen, length, rows, panels, n_words, first,
                   none):
    """Adds up in numbers of few bits, a run of words at a time.

    Args:
        builder, add, rows, panels, n_words, first: As of :func:`add_up`.
        widen (callable): Makes int32 of the sums of a run.
        length (int): Words of a run, whose sums do not overflow.
        none (list of list): Vectors of int32, all 0, row by row.

    Returns:
        list of list: Vectors of int32, row by row.
    """
    totals = [[cgutils.alloca_once_value(builder, zeros) for zeros in row]
              for row in none]
    with cgutils.for_range_slice(
            builder, _I64(0), n_words, _I64(length)) as (word, _):
        left = builder.sub(n_words, word)
        n = builder.select(builder.icmp_signed('<', left, _I64(length)),
                           left, _I64(length))
        offset = builder.mul(word, _I64(4))
        sums = add_up(
            builder, add, [builder.add(row, offset) for row in rows],
            [builder.add(panel, builder.mul(offset, _I64(COLUMNS)))
             for panel in panels], n, first, none)
        for targets, row in zip(totals, sums, strict=True):
            for target, run in zip(targets, row, strict=True):
                builder.store(builder.add(
                    builder.load(target), widen(run)), target)
    return [[builder.load(total) for total in row] for row in totals]


def add_up(builder, add, rows, panels, n_words, first, sums):
    """Adds up something of rows and columns, in a loop over words.

    Args:
        builder (llvmlite.ir.IRBuilder): Where the code goes.
        add (callable): Takes vectors: a sum so far, the word of a row, and
            the words of columns in each panel; returns the sum with them.
        rows (list): Addresses of the rows.
        panels (list): Addresses of the panels: word for word 64 columns.
        n_words: How many; at least one.
        first (int): The first column.
        sums (list of list): Vectors to begin with, row by row.

    Returns:
        list of list: Vectors, row by row.
    """
    rows = [_pointer(builder, row, _I32) for row in rows]
    n_vectors, kind = len(sums[0]), sums[0][0].type
    words = ir.VectorType(_I32, kind.count)
    before = builder.block
    loop = builder.append_basic_block('words')
    after = builder.append_basic_block('end')
    builder.branch(loop)

    builder.position_at_end(loop)
    word = builder.phi(_I64)
    word.add_incoming(_I64(0), before)
    totals = [[builder.phi(kind) for _ in row] for row in sums]
    columns = [[load(builder, word_address(
        builder, builder.add(panel, builder.mul(word, _I64(4 * COLUMNS))),
        first + v * kind.count), words) for panel in panels]
        for v in range(n_vectors)]
    results = []
    for row, row_totals in zip(rows, totals, strict=True):
        bits = splat(builder, load(
            builder, builder.gep(row, [word]), _I32), words)
        results.append([add(total, bits, *column) for total, column in zip(
            row_totals, columns, strict=True)])
    following = builder.add(word, _I64(1))
    word.add_incoming(following, loop)
    for ends in zip(totals, sums, results, strict=True):
        for total, start, result in zip(*ends, strict=True):
            total.add_incoming(start, before)
            total.add_incoming(result, loop)
    builder.cbranch(
        builder.icmp_signed('<', following, n_words), loop, after)

    builder.position_at_end(after)
    return results


def _popcount(builder, x):
    """Counts the bits of each element of a vector."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(x.type, [x.type]),
        f'llvm.ctpop.v{x.type.count}{x.type.element}')
    return builder.call(function, [x])


@intrinsic
def signs_of_32(typingctx, x):
    """Packs the signs of 32 floats at an address: bit i is ``x[i] >= 0``."""
    vector = ir.VectorType(ir.FloatType(), 32)

    def generate(context, builder, signature, args):
        x = load(builder, builder.inttoptr(
            args[0], vector.as_pointer()), vector)
        bits = builder.fcmp_ordered(
            '>=', x, ir.Constant(vector, [0.] * 32))
        return builder.bitcast(bits, _I32)

    return numba.types.uint32(_address), generate


def row_address(builder, address, stride, i):
    """Returns the address of row ``i``."""
    return builder.add(address, builder.mul(stride, _I64(i)))


def _pointer(builder, address, scalar):
    return builder.inttoptr(address, scalar.as_pointer())


def word_address(builder, address, i):
    """Returns a pointer to word ``i`` behind an address."""
    return builder.gep(_pointer(builder, address, _I32), [_I64(i)])


def load(builder, pointer, kind):
    """Loads a value of an LLVM type that may lie at any word."""
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = 4
    return value


def store(builder, value, address, i):
    """Stores a vector from word ``i`` behind an address on."""
    builder.store(value, builder.bitcast(
        word_address(builder, address, i), value.type.as_pointer())).align = 4


def splat(builder, value, vector):
    """Makes a vector of equal elements."""
    nothing = ir.Constant(vector, ir.Undefined)
    return builder.shuffle_vector(
        builder.insert_element(nothing, value, _I32(0)), nothing,
        ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count))


def transpose(builder, rows):
    """Transposes 16 vectors of 16 words, in halves of halves."""
    rows = list(rows)
    for size in (8, 4, 2, 1):
        for i in range(16):
            if not i & size:
                a, b = rows[i], rows[i + size]
                rows[i] = builder.shuffle_vector(a, b, _lanes(
                    16 + lane - size if lane & size else lane
                    for lane in range(16)))
                rows[i + size] = builder.shuffle_vector(a, b, _lanes(
                    16 + lane if lane & size else lane + size
                    for lane in range(16)))
    return rows


def _lanes(lanes):
    return ir.Constant(ir.VectorType(_I32, 16), list(lanes))
