"""Intel's matrix unit (AMX): tiles of :mod:`bnn.kernels.float_tiles` and
:mod:`bnn.kernels.byte_tiles` on it.

The unit has eight registers of 16 rows of 64 bytes.  To one of 16 by 16 words
it adds the product of 16 rows by 16 columns.  An instruction takes 16 words
of each, with two bfloat16 or four bytes a word.  Products are exact; sums of
bfloat16 are of float32, where numbers below 2^-126 count as 0.
"""
import ctypes
import sys

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

#: Rows of a tile, and the words of a row come in blocks of so many
ROWS, WORDS = 32, 16

_I8, _I64 = ir.IntType(8), ir.IntType(64)
# ldtilecfg: palette 1, for each register 64 bytes in a row, and 16 rows
_CONFIG = bytes([1] + 15 * [0] + 8 * [64, 0] + 16 * [0] + 8 * [16] + 8 * [0])


def ask(features: dict[str, bool], kind: str = 'bf16') -> bool:
    """Asks the system for the unit, for the whole process.

    Args:
        features: Of the processor, by LLVM's names.
        kind: Of products, ``'bf16'`` or ``'int8'``.

    Returns:
        Whether the unit is there, has these products and may be used.
    """
    if not (sys.platform.startswith('linux') and all(
            features.get(name) for name in (
                'amx-tile', f'amx-{kind}', 'avx512f', 'avx512bw'))):
        return False
    # arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) of x86-64
    return not ctypes.CDLL(None).syscall(158, 0x1023, 18)


def ready(builder):
    """Writes the code that readies the unit for a thread: about 90 ns."""
    kind = ir.ArrayType(_I8, len(_CONFIG))
    config = cgutils.global_constant(
        builder, 'amx_config', ir.Constant(kind, bytearray(_CONFIG)))
    _call(builder, 'ldtilecfg', builder.bitcast(config, _I8.as_pointer()))


def release(builder):
    """Writes the code that gives the unit back."""
    _call(builder, 'tilerelease')


def for_kernels(emit, is_there):
    """Makes a function for Numba's kernels of a function that writes code.

    Args:
        emit (callable): :func:`ready` or :func:`release`.
        is_there (bool): Whether the processor has the unit; else the function
            does nothing.
    """
    @intrinsic
    def function(typingctx):
        def generate(context, builder, signature, args):
            if is_there:
                emit(builder)
            return context.get_dummy_value()

        return numba.types.void(), generate
    return function


def emit(instruction, is_added, builder, a, a_stride, b, n_words, y,
         y_stride):
    """Writes the code of a tile of 32 rows by 64 columns.

    It runs between those of :func:`ready` and :func:`release`.

    Args:
        instruction (str): Adds the product of two registers to a third one.
        is_added (bool): Whether the tile adds to ``y``, or overwrites it.
        builder (llvmlite.ir.IRBuilder): Where the code goes.
        a, a_stride, b, n_words, y, y_stride: See
            :data:`bnn.kernels.float_tiles.float_tile`; ``n_words`` is a
            multiple of 16.
    """
    for column in range(0, 64, 32):
        _emit_half(instruction, is_added, builder, a, a_stride,
                   _plus(builder, b, 4 * column), n_words,
                   _plus(builder, y, 4 * column), y_stride)


def _emit_half(instruction, is_added, builder, a, a_stride, b, n_words, y,
               y_stride):
    # Registers 0 to 3 have the sums, 4 and 5 two times 16 rows, 6 and 7 two
    # times 16 columns.
    line = _I64(256)
    targets = [_plus(builder, builder.add(y, builder.mul(
        y_stride, _I64(16 * i))), 64 * j) for i in range(2) for j in range(2)]
    for register, target in enumerate(targets):
        if is_added:
            _call(builder, 'tileloadd64', _I8(register), _pointer(
                builder, target), y_stride)
        else:
            _call(builder, 'tilezero', _I8(register))
    with cgutils.for_range_slice(
            builder, _I64(0), n_words, _I64(WORDS)) as (word, _):
        for i in range(2):
            row = builder.add(a, builder.mul(a_stride, _I64(16 * i)))
            _call(builder, 'tileloadd64', _I8(4 + i), _pointer(
                builder, builder.add(row, builder.mul(word, _I64(4)))),
                a_stride)
        for j in range(2):
            columns = builder.add(b, builder.mul(word, line))
            _call(builder, 'tileloadd64', _I8(6 + j), _pointer(
                builder, _plus(builder, columns, 64 * j)), line)
        for i in range(2):
            for j in range(2):
                _call(builder, instruction, _I8(2 * i + j), _I8(4 + i),
                      _I8(6 + j))
    for register, target in enumerate(targets):
        _call(builder, 'tilestored64', _I8(register), _pointer(
            builder, target), y_stride)


def _call(builder, name, *args):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(
            ir.VoidType(), [arg.type for arg in args]), 'llvm.x86.' + name)
    builder.call(function, args)


def _plus(builder, address, offset):
    return builder.add(address, _I64(offset))


def _pointer(builder, address):
    return builder.inttoptr(address, _I8.as_pointer())
