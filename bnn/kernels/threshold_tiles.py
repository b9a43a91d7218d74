"""Steps of a packed net as LLVM vectors: products that end as bits.

They are those of :mod:`bnn.kernels.tiles`, with a comparison in place of the
store of the sums: a bit is 1 where operands differ in at most so many places.
Sums of :mod:`bnn.kernels.byte_tiles` are compared where they are stored.
"""
import numba
from llvmlite import ir
from numba.extending import intrinsic

from bnn.kernels import tiles

COLUMNS, ROWS = tiles.COLUMNS, tiles.ROWS
_LANES = tiles.LANES
PLANES = 8

_I8, _I32, _I64 = (ir.IntType(n) for n in (8, 32, 64))
_WORDS = ir.VectorType(_I32, _LANES)
_address, _size = numba.types.uintp, numba.types.intp


def _store_bits(builder, counts, thresholds, out, first, predicate='<='):
    """Compares vectors of counts and stores a bit for each column."""
    for v, vector in enumerate(counts):
        column = first + v * _LANES
        limit = tiles.load(
            builder, tiles.word_address(builder, thresholds, column), _WORDS)
        bits = builder.icmp_signed(predicate, vector, limit)
        kind = ir.IntType(_LANES)
        target = builder.inttoptr(
            builder.add(out, _I64(column // 8)), kind.as_pointer())
        builder.store(builder.bitcast(bits, kind), target).align = 1


def _product(n_rows, n_vectors):
    @intrinsic
    def threshold_tile(typingctx, a, a_stride, b, n_words, thresholds, out,
                       out_stride):
        def generate(context, builder, signature, args):
            a, a_stride, b, n_words, thresholds, out, out_stride = args
            for first in range(0, COLUMNS, n_vectors * _LANES):
                counts = tiles.count(
                    builder, builder.xor, [
                        tiles.row_address(builder, a, a_stride, i)
                        for i in range(n_rows)],
                    [b], n_words, first, n_vectors)
                for i in range(n_rows):
                    _store_bits(
                        builder, counts[i], thresholds,
                        tiles.row_address(builder, out, out_stride, i), first)
            return context.get_dummy_value()

        return numba.types.void(
            _address, _size, _address, _size, _address, _address,
            _size), generate
    return threshold_tile


# Bits of ROWS packed rows, or of one, by 64 columns: 1 where at most
# ``thresholds[column]`` bits differ.  Addresses; strides in bytes.
threshold_tile = _product(ROWS, tiles.VECTORS)
threshold_row = _product(1, min(4, COLUMNS // _LANES))


@intrinsic
def planes_tile(typingctx, a, a_stride, b, n_words, thresholds, out):
    """Does the same for one image of pixels: 8 rows, a bit of each pixel.

    The bits of row j count ``2^j``.
    """
    n_vectors = 2 if _LANES == 16 else 1

    def generate(context, builder, signature, args):
        a, a_stride, b, n_words, thresholds, out = args
        for first in range(0, COLUMNS, n_vectors * _LANES):
            counts = tiles.count(
                builder, builder.xor, [
                    tiles.row_address(builder, a, a_stride, i)
                    for i in range(PLANES)],
                [b], n_words, first, n_vectors)
            totals = list(counts[PLANES - 1])
            for i in reversed(range(PLANES - 1)):
                totals = [builder.add(builder.add(t, t), c)
                          for t, c in zip(totals, counts[i], strict=True)]
            _store_bits(builder, totals, thresholds, out, first)
        return context.get_dummy_value()

    return numba.types.void(
        _address, _size, _address, _size, _address, _address), generate


@intrinsic
def plane_of_32(typingctx, x, plane):
    """Packs bit ``plane`` of the 32 bytes at an address."""
    vector = ir.VectorType(_I8, 32)

    def generate(context, builder, signature, args):
        x, plane = args
        pointer = builder.inttoptr(x, vector.as_pointer())
        octets = builder.load(pointer)
        octets.align = 1
        shift = builder.trunc(builder.sub(_I64(7), plane), _I8)
        shifts = tiles.splat(builder, shift, vector)
        bits = builder.icmp_signed(
            '<', builder.shl(octets, shifts), ir.Constant(vector, [0] * 32))
        return builder.bitcast(bits, _I32)

    return numba.types.uint32(_address, _size), generate


@intrinsic
def threshold_sums(typingctx, sums, thresholds, out):
    """Makes bits of 64 int32: 1 where a sum is at least its threshold."""
    def generate(context, builder, signature, args):
        sums, thresholds, out = args
        _store_bits(builder, [
            tiles.load(builder, tiles.word_address(builder, sums, column),
                       _WORDS) for column in range(0, COLUMNS, _LANES)],
            thresholds, out, 0, '>=')
        return context.get_dummy_value()

    return numba.types.void(_address, _address, _address), generate
