"""The tiles of floats: which one is chosen, and their code."""
import ctypes
import functools
import re

import llvmlite.binding
import numpy
import pytest
from llvmlite import ir

from bnn.kernels import amx
from bnn.kernels import float_tiles
from bnn.kernels import reference
from bnn.kernels import tiles

AVX512 = {'avx512f': True}
MATRIX = {'avx512f': True, 'avx512bw': True, 'amx-tile': True,
          'amx-bf16': True}


@pytest.mark.parametrize('features, has_amx, unit', [
    ({}, False, 'FLOATS'),
    ({'avx2': True, 'fma': True}, False, 'FLOATS'),
    (AVX512, False, 'FLOATS'),
    ({**AVX512, 'avx512bf16': False}, False, 'FLOATS'),
    ({'avx512f': False, 'avx512bf16': True}, False, 'FLOATS'),
    ({**AVX512, 'avx512bf16': True}, False, 'PAIRS'),
    ({**MATRIX, 'avx512bf16': True}, False, 'PAIRS'),  # not allowed
    ({**MATRIX, 'avx512bf16': True}, True, 'MATRIX')])
def test_choice(features, has_amx, unit):
    assert float_tiles.choose(features, has_amx) == getattr(float_tiles, unit)


@pytest.mark.parametrize('platform, features, answer, is_there', [
    ('linux', MATRIX, 0, True),
    ('linux', MATRIX, -1, False),  # the system says no
    ('darwin', MATRIX, 0, False),
    ('linux', {**MATRIX, 'amx-bf16': False}, 0, False),
    ('linux', {}, 0, False)])
def test_amx_is_asked_for(platform, features, answer, is_there, monkeypatch):
    class System:
        def __init__(self, name):
            assert name is None

        def syscall(self, *args):
            assert args == (158, 0x1023, 18)
            return answer

    monkeypatch.setattr(amx.sys, 'platform', platform)
    monkeypatch.setattr(amx.ctypes, 'CDLL', System)
    assert amx.ask(features) is is_there


def write(emit):
    """Returns a module with the function ``tile``."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(
        ir.VoidType(), [ir.IntType(64)] * 6), 'tile')
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, *function.args)
    builder.ret_void()
    return str(module)


@pytest.mark.parametrize('processor, multiply, instruction', [
    ('znver4', float_tiles.multiply_pairs_by_unit, 'vdpbf16ps'),
    ('sapphirerapids', float_tiles.multiply_pairs_by_unit, 'vdpbf16ps'),
    ('sapphirerapids', None, 'tdpbf16ps'),
    ('skylake-avx512', float_tiles.multiply_floats, 'vfmadd'),
    ('haswell', float_tiles.multiply_floats, 'vfmadd')])
def test_code_for_other_processors(processor, multiply, instruction,
                                   monkeypatch):
    """Each tile compiles to the instruction that it is written for."""
    is_wide = processor != 'haswell'
    lanes = 16 if is_wide else 8
    for name, value in {
            'LANES': lanes, 'VECTORS': 4 if is_wide else 2,
            '_WORDS': ir.VectorType(ir.IntType(32), lanes),
            '_FLOATS': ir.VectorType(ir.FloatType(), lanes)}.items():
        monkeypatch.setattr(float_tiles, name, value)
    emit, least = amx.emit, 8
    if multiply is not None:
        n_rows = float_tiles.ROWS[0]
        emit = functools.partial(float_tiles.emit, multiply, n_rows)
        least = tiles.COLUMNS // lanes * n_rows
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    machine = llvmlite.binding.Target.from_triple(
        'x86_64-unknown-linux-gnu').create_target_machine(
            cpu=processor, opt=3)
    compiled = llvmlite.binding.parse_assembly(write(emit))
    compiled.verify()
    assert machine.emit_assembly(compiled).count(instruction) >= least


class MatrixUnit:
    """AMX's instructions in NumPy, as Intel's manual describes them."""

    def __init__(self):
        self.registers = None
        self.n_products = 0

    def ldtilecfg(self, config: ctypes.c_void_p):
        config = numpy.frombuffer(ctypes.string_at(config, 64), 'u1')
        widths = config[16:48].view('<u2')
        assert config[0] == 1 and not config[1:16].any()
        assert widths.tolist() == 8 * [64] + 8 * [0]
        assert config[48:].tolist() == 8 * [16] + 8 * [0]
        self.registers = [numpy.zeros((16, 16), 'u4') for _ in range(8)]

    def tileloadd64(self, register: ctypes.c_uint8, address: ctypes.c_void_p,
                    stride: ctypes.c_int64):
        for i in range(16):
            self.registers[register][i] = numpy.frombuffer(
                ctypes.string_at(address + i * stride, 64), 'u4')

    def tilestored64(self, register: ctypes.c_uint8, address: ctypes.c_void_p,
                     stride: ctypes.c_int64):
        for i in range(16):
            ctypes.memmove(address + i * stride,
                           self.registers[register][i].tobytes(), 64)

    def tdpbf16ps(self, c: ctypes.c_uint8, a: ctypes.c_uint8,
                  b: ctypes.c_uint8):
        self.n_products += 1
        c, a, b = (self.registers[i] for i in (c, a, b))
        for half in (lambda x: x << 16, lambda x: x & 0xFFFF0000):
            c.view('f')[:] += half(a).view('f') @ half(b).view('f')

    def tilerelease(self):
        self.registers = None


@pytest.fixture
def matrix_tile():
    """The code of AMX's tile, its instructions emulated."""
    unit, callbacks = MatrixUnit(), []
    for name, function in vars(MatrixUnit).items():
        if not name.startswith('_'):
            kinds = [kind for argument, kind
                     in function.__annotations__.items()]
            callbacks.append(ctypes.CFUNCTYPE(None, *kinds)(
                getattr(unit, name)))
            llvmlite.binding.add_symbol(
                f'emulated_{name}',
                ctypes.cast(callbacks[-1], ctypes.c_void_p).value)
    llvmlite.binding.initialize_native_target()
    llvmlite.binding.initialize_native_asmprinter()
    text = re.sub(r'llvm\.x86\.', 'emulated_', write(amx.emit))
    engine = llvmlite.binding.create_mcjit_compiler(
        llvmlite.binding.parse_assembly(text),
        llvmlite.binding.Target.from_default_triple().create_target_machine())
    engine.finalize_object()
    tile = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)(
        engine.get_function_address('tile'))
    yield tile, unit
    assert unit.registers is None  # released


@pytest.mark.parametrize('n_words', [16, 48])
def test_code_of_amx(matrix_tile, n_words):
    """Its loads, products and stores give ``y += a b``, and touch no more."""
    tile, unit = matrix_tile
    a, b = (reference.round_to_bfloat16(
        numpy.random.standard_normal(shape).astype('f'))
        for shape in ((32, 2 * n_words), (2 * n_words, 64)))
    y = numpy.random.standard_normal((33, 80)).astype('f')
    rows = numpy.zeros((32, n_words + 5), 'u4')
    rows[:, :n_words] = (a[:, ::2].view('u4') >> 16) | a[:, 1::2].view('u4')
    panel = (b[::2].view('u4') >> 16) | b[1::2].view('u4')
    expected = y.astype('d')
    expected[:32, :64] += a.astype('d') @ b
    before = y.copy()
    tile(rows.ctypes.data, rows.strides[0], panel.ctypes.data, n_words,
         y.ctypes.data, y.strides[0])
    numpy.testing.assert_allclose(y, expected, rtol=0, atol=1e-4)
    numpy.testing.assert_array_equal(y[32], before[32])
    numpy.testing.assert_array_equal(y[:, 64:], before[:, 64:])
    assert unit.n_products == 8 * n_words // 16
