"""Intel's matrix unit (AMX) for Numba's kernels: tiles.

A tile has 16 rows of 64 bytes.  The unit adds to a tile of float32 (16, 16)
the product of bfloat16 (16, 32) by (32, 16), whose rows come in pairs: 32
bits hold one column's two.  Products are exact and sums are of float32;
denormal numbers count as 0.

A float32 has 24 bits and is the sum of three bfloat16 of 8 bits: its *parts*.
Here is what makes tiles of a block of 32 x 32, and multiplies them:

- left factors of floats: two tiles of 16 rows for each part, 6 KiB;
- right factors of signs, or of numbers that are bfloat16: two tiles of 16
  columns, 2 KiB.
"""
import ctypes
import sys

import numba
import numpy
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from bnn.kernels import tiles

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_I32, 16)
_HALVES = ir.VectorType(ir.IntType(16), 16)
_FLOATS = ir.VectorType(ir.FloatType(), 16)
_MASK = ir.VectorType(ir.IntType(1), 16)
_address, _size = numba.types.uintp, numba.types.intp

# Bytes of a tile; rows, and columns, of a block
TILE = 1024
BLOCK = 32
# +1 and +1 of bfloat16, and what turns the one or the other negative
_ONES, _LOW, _HIGH = 0x3F803F80, 0x8000, 0x80000000


def _is_allowed():
    """Asks the system for the unit, once for the process."""
    if not (sys.platform.startswith('linux') and all(
            tiles.FEATURES.get(name) for name in (
                'amx-tile', 'amx-bf16', 'avx512f', 'avx512bw'))):
        return False
    # arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) of x86-64
    return not ctypes.CDLL(None).syscall(158, 0x1023, 18)


IS_AVAILABLE = _is_allowed()

# Eight tiles of 16 rows of 64 bytes
CONFIG = numpy.zeros(64, numpy.uint8)
CONFIG[0] = 1
CONFIG[16:32].view(numpy.uint16)[:] = 64
CONFIG[48:56] = 16


def _call(builder, name, *args):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(
            ir.VoidType(), [arg.type for arg in args]), 'llvm.x86.' + name)
    builder.call(function, args)


def _pointer(builder, address):
    return builder.inttoptr(address, _I8.as_pointer())


@intrinsic
def configure(typingctx, config):
    """Readies the unit, where there is one, for a thread: eight full tiles."""
    def generate(context, builder, signature, args):
        if IS_AVAILABLE:
            _call(builder, 'ldtilecfg', _pointer(builder, args[0]))
        return context.get_dummy_value()

    return numba.types.void(_address), generate


@intrinsic
def release(typingctx):
    """Gives the unit back."""
    def generate(context, builder, signature, args):
        if IS_AVAILABLE:
            _call(builder, 'tilerelease')
        return context.get_dummy_value()

    return numba.types.void(), generate


@intrinsic
def multiply(typingctx, a, b, n_steps, y, y_stride):
    """Multiplies 32 rows by 32 columns.

    Addresses of blocks, one after the other; ``y``: float32 (32, 32), the
    stride of its rows in bytes.
    """
    def generate(context, builder, signature, args):
        a, b, n_steps, y, y_stride = args
        line = _I64(64)

        def tiles_at(first, numbers):
            return [(builder.add(first, _I64(i * TILE)), line)
                    for i in numbers]

        def parts(step):
            left = builder.add(a, builder.mul(step, _I64(6 * TILE)))
            return [tiles_at(left, (2 * part, 2 * part + 1))
                    for part in range(3)]

        def signs(step):
            return tiles_at(builder.add(
                b, builder.mul(step, _I64(2 * TILE))), range(2))

        emit(builder, 'tdpbf16ps', parts, signs, n_steps, y, y_stride)
        return context.get_dummy_value()

    return numba.types.void(
        _address, _address, _size, _address, _size), generate


def emit(builder, instruction, lefts, rights, n_steps, y, y_stride):
    """Writes the code that multiplies 32 rows by 32 columns.

    Args:
        builder (llvmlite.ir.IRBuilder): Where the code goes.
        instruction (str): Adds the product of two tiles to a third one.
        lefts (callable): Takes a step; returns for each part the address and
            the stride of two tiles, one below the other.
        rights (callable): Returns those of two tiles, side by side.
        n_steps: How many.
        y, y_stride: Where the 32-bit sums go, and the stride of rows.
    """
    for tile in range(4):
        _call(builder, 'tilezero', _I8(tile))
    before = builder.block
    loop = builder.append_basic_block('steps')
    after = builder.append_basic_block('end')
    builder.branch(loop)

    builder.position_at_end(loop)
    step = builder.phi(_I64)
    for j, (address, stride) in enumerate(rights(step)):
        _call(builder, 'tileloadd64', _I8(6 + j),
              _pointer(builder, address), stride)
    for part in lefts(step):
        for i, (address, stride) in enumerate(part):
            _call(builder, 'tileloadd64', _I8(4 + i),
                  _pointer(builder, address), stride)
        for i in range(2):
            for j in range(2):
                _call(builder, instruction, _I8(2 * i + j), _I8(4 + i),
                      _I8(6 + j))
    following = builder.add(step, _I64(1))
    step.add_incoming(_I64(0), before)
    step.add_incoming(following, loop)
    builder.cbranch(
        builder.icmp_signed('<', following, n_steps), loop, after)

    builder.position_at_end(after)
    for i in range(2):
        rows = builder.add(y, builder.mul(y_stride, _I64(16 * i)))
        for j in range(2):
            _call(builder, 'tilestored64', _I8(2 * i + j),
                  _plus(builder, rows, 64 * j), y_stride)


@intrinsic
def parts_of_row(typingctx, x, target):
    """Makes a row of left tiles of 32 floats at an address."""
    def generate(context, builder, signature, args):
        x, target = args
        for half in range(2):
            value = _load(builder, x, 64 * half, _FLOATS)
            for part in range(3):
                value, bits = _next_part(builder, value)
                bits = builder.trunc(
                    builder.lshr(bits, _splat(16)), _HALVES)
                _store(builder, bits, target, 2 * TILE * part + 32 * half)
        return context.get_dummy_value()

    return numba.types.void(_address, _address), generate


@intrinsic
def parts_of_columns(typingctx, x, x_stride, target):
    """Makes left tiles of the 32 columns of float32 (32, 32)."""
    def generate(context, builder, signature, args):
        x, x_stride, target = args
        for tile in range(2):
            rows = [_load(builder, builder.add(x, builder.mul(
                x_stride, _I64(i))), 64 * tile, _FLOATS) for i in range(32)]
            for part in range(3):
                pairs = []
                for i in range(0, 32, 2):
                    rows[i], low = _next_part(builder, rows[i])
                    rows[i + 1], high = _next_part(builder, rows[i + 1])
                    pairs.append(builder.or_(
                        builder.lshr(low, _splat(16)), high))
                for i, row in enumerate(tiles.transpose(builder, pairs)):
                    _store(builder, row, target,
                           (2 * part + tile) * TILE + 64 * i)
        return context.get_dummy_value()

    return numba.types.void(_address, _size, _address), generate


@intrinsic
def signs_of_rows(typingctx, low, high, target):
    """Makes a row of right tiles of the bits of two rows of 32 signs."""
    def generate(context, builder, signature, args):
        low, high, target = args
        for tile in range(2):
            _store_signs(builder, *(
                builder.bitcast(builder.trunc(builder.lshr(
                    bits, _I32(16 * tile)), ir.IntType(16)), _MASK)
                for bits in (low, high)), target, TILE * tile)
        return context.get_dummy_value()

    return numba.types.void(
        numba.types.uint32, numba.types.uint32, _address), generate


@intrinsic
def signs_of_columns(typingctx, bits, target):
    """Makes right tiles of the bits of 32 columns of 32 signs."""
    def generate(context, builder, signature, args):
        bits, target = args
        for tile in range(2):
            words = _load(builder, bits, 64 * tile, _WORDS)
            for i in range(16):
                _store_signs(builder, *(
                    builder.icmp_unsigned('!=', builder.and_(
                        words, _splat(1 << bit)), _splat(0))
                    for bit in (2 * i, 2 * i + 1)),
                    target, TILE * tile + 64 * i)
        return context.get_dummy_value()

    return numba.types.void(_address, _address), generate


@intrinsic
def numbers_of_rows(typingctx, low, high, target):
    """Makes a row of right tiles of two rows of 32 bfloat16."""
    def generate(context, builder, signature, args):
        low, high, target = args
        for tile in range(2):
            low_words, high_words = (
                builder.zext(_load(builder, row, 32 * tile, _HALVES), _WORDS)
                for row in (low, high))
            _store(builder, builder.or_(
                low_words, builder.shl(high_words, _splat(16))),
                target, TILE * tile)
        return context.get_dummy_value()

    return numba.types.void(_address, _address, _address), generate


@intrinsic
def word_at(typingctx, address):
    """Returns the uint32 at an address."""
    def generate(context, builder, signature, args):
        return _load(builder, args[0], 0, _I32)

    return numba.types.uint32(_address), generate


def _next_part(builder, value):
    """Returns what is left of floats, and their first 8 bits as words."""
    bits = builder.and_(builder.bitcast(value, _WORDS), _splat(0xFFFF0000))
    # Not infinity, if a NaN says that it is one further on
    bits = builder.select(
        builder.fcmp_ordered('ord', value, value), bits,
        builder.or_(bits, _splat(1 << 22)))
    rest = builder.fsub(value, builder.bitcast(bits, _FLOATS))
    # Infinity less infinity: it has one part.
    is_number = builder.fcmp_ordered('ord', rest, rest)
    return builder.select(
        is_number, rest, ir.Constant(_FLOATS, [0.] * 16)), bits


def _store_signs(builder, low, high, target, offset):
    words = builder.select(low, _splat(_ONES), _splat(_ONES ^ _LOW))
    words = builder.xor(words, builder.select(
        high, _splat(0), _splat(_HIGH)))
    _store(builder, words, target, offset)


def _splat(value):
    return ir.Constant(_WORDS, [value] * 16)


def _plus(builder, address, offset):
    return _pointer(builder, builder.add(address, _I64(offset)))


def _load(builder, address, offset, kind):
    value = builder.load(builder.bitcast(
        _plus(builder, address, offset), kind.as_pointer()))
    value.align = 4
    return value


def _store(builder, value, address, offset):
    builder.store(value, builder.bitcast(
        _plus(builder, address, offset), value.type.as_pointer())).align = 4
