"""Intel's matrix unit (AMX) where there is none.

Each function here does what one of its instructions does, and is a symbol for
compiled code, ``unit_`` and its name.  As a plugin of pytest,

    NUMBA_CACHE_DIR=FOLDER pytest -p tests.helpers.matrix_unit ...

it lets all kernels be compiled as for the unit, with calls of these symbols.
"""
import ctypes

import llvmlite.binding
import numpy
from llvmlite import ir
from numba.core import cgutils

from bnn.kernels import amx

_TILES = numpy.zeros((8, 16, 64), numpy.uint8)
_number, _address = ctypes.c_uint8, ctypes.c_size_t


def _rows(address, stride):
    for i in range(16):
        yield numpy.ctypeslib.as_array(
            (ctypes.c_uint8 * 64).from_address(address + i * stride))


def tilezero(tile):
    """Fills a tile with 0."""
    _TILES[tile] = 0


def tileloadd64(tile, address, stride):
    """Loads 16 rows of 64 bytes."""
    for row, source in zip(_TILES[tile], _rows(address, stride), strict=True):
        row[...] = source


def tilestored64(tile, address, stride):
    """Stores 16 rows of 64 bytes."""
    for row, target in zip(_TILES[tile], _rows(address, stride), strict=True):
        target[...] = row


def tdpbusd(total, a, b):
    """Adds four products of uint8 and int8 to each int32."""
    left = _TILES[a].reshape(16, 16, 4).astype(numpy.int32)
    right = _TILES[b].view(numpy.int8).reshape(16, 16, 4)
    _TILES[total].view(numpy.int32)[...] += numpy.einsum(
        'ikq,kjq->ij', left, right, dtype=numpy.int32)


def tdpbf16ps(total, a, b):
    """Adds two products of bfloat16 to each float32."""
    left, right = ((_TILES[tile].view(numpy.uint16).astype(
        numpy.uint32) << 16).view(numpy.float32).reshape(16, 16, 2)
        for tile in (a, b))
    with numpy.errstate(all='ignore'):  # in columns that do not count
        _TILES[total].view(numpy.float32)[...] += numpy.einsum(
            'ikq,kjq->ij', left, right)


def ldtilecfg(config):
    """Readies the unit."""
    octets = ctypes.string_at(config, 64)
    # Palette 1; eight registers of 64 bytes, as 16 bits, by 16 rows
    assert octets == bytes(
        [1] + 15 * [0] + 8 * [64, 0] + 16 * [0] + 8 * [16] + 8 * [0])


def tilerelease():
    """Gives the unit back."""
    _TILES[...] = 255


def _call(builder, name, *args):
    builder.call(cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(
            ir.VoidType(), [arg.type for arg in args]), f'unit_{name}'), args)


_FUNCTIONS = {
    function.__name__: ctypes.CFUNCTYPE(None, *arguments)(function)
    for function, arguments in (
        (tilezero, [_number]),
        (tileloadd64, [_number, _address, _address]),
        (tilestored64, [_number, _address, _address]),
        (tdpbusd, [_number] * 3), (tdpbf16ps, [_number] * 3),
        (ldtilecfg, [_address]), (tilerelease, []))}
for _name, _function in _FUNCTIONS.items():
    llvmlite.binding.add_symbol(f'unit_{_name}', ctypes.cast(
        _function, ctypes.c_void_p).value)


def is_released():
    """Tells whether the unit was given back, and not used since."""
    return (_TILES == 255).all()


def pytest_load_initial_conftests():
    """Puts the functions in place, before a kernel is imported."""
    amx._call = _call
    amx.ask = lambda *args: True


def pytest_sessionfinish():
    """Fails where no kernel has used the stand-in."""
    assert _TILES.any()
