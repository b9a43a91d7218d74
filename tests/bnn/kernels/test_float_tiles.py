"""The tiles of floats: which one is chosen, and their code."""
import ctypes
import functools
import itertools
import re

import llvmlite.binding
import numba
import numpy
import pytest
from llvmlite import ir

from bnn.kernels import amx
from bnn.kernels import float_tiles
from bnn.kernels import reference
from tests.helpers import assembly
from tests.helpers import matrix_unit

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
    if multiply is None:
        code = assembly.compile_for(
            processor, functools.partial(amx.emit, 'tdpbf16ps', True))
        assert code.count(instruction) >= 8
        return
    code = assembly.compile_for(
        processor, functools.partial(float_tiles.emit, multiply), 8)
    # One to six rows by some vectors of columns
    n_vectors = (4,) * 6 if is_wide else (8, 4, 2, 2, 2, 2)
    assert code.count(instruction) == sum(
        n * count for n, count in enumerate(n_vectors, 1))
    # The sums are in registers.
    assert not re.search(r'mm\d+, -?\d*\(%rsp\)', code)


@numba.njit
def multiply_panel(unit, a, panel, n_columns, y):
    float_tiles.multiply(
        unit, a.ctypes.data, a.strides[0], len(a), panel.ctypes.data,
        a.shape[1], n_columns, y.ctypes.data, y.strides[0])


@pytest.mark.parametrize('unit', [float_tiles.FLOATS, float_tiles.PAIRS])
def test_rows_and_columns(unit):
    """Any number of them is multiplied, and nothing else is touched."""
    for n_rows, n_columns in itertools.product(range(15), range(1, 65, 7)):
        a, panel, expected = pairs(9)
        if unit == float_tiles.FLOATS:
            a, panel = (numpy.random.standard_normal(shape).astype('f')
                        for shape in (a.shape, panel.shape))
            expected = a.astype('d') @ panel
        y = numpy.random.standard_normal((n_rows + 1, 80)).astype('f')
        before = y.copy()
        multiply_panel(unit, a.view('f')[:n_rows],
                       numpy.ascontiguousarray(panel).view('f'), n_columns, y)
        numpy.testing.assert_allclose(
            y[:n_rows, :n_columns],
            (before[:n_rows] + numpy.pad(expected[:n_rows], ((0, 0), (0, 16)))
             )[:, :n_columns], rtol=0, atol=1e-4)
        numpy.testing.assert_array_equal(y[n_rows], before[n_rows])
        numpy.testing.assert_array_equal(y[:, 64:], before[:, 64:])


@pytest.fixture
def compiled():
    """Compiles AMX's tile; its instructions are those of matrix_unit."""
    engines = []

    def compile_tile(*kind):
        def emit(builder, *args):
            amx.ready(builder)
            amx.emit(*kind, builder, *args)
            amx.release(builder)

        text = assembly.write(emit).replace('llvm.x86.', 'unit_')
        engines.append(llvmlite.binding.create_mcjit_compiler(
            llvmlite.binding.parse_assembly(text),
            llvmlite.binding.Target.from_default_triple(
                ).create_target_machine()))
        engines[-1].finalize_object()
        return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)(
            engines[-1].get_function_address('tile'))

    llvmlite.binding.initialize_native_target()
    llvmlite.binding.initialize_native_asmprinter()
    yield compile_tile
    assert matrix_unit.is_released()


def pairs(n_words):
    """Draws rows and a panel of bfloat16, and their product."""
    a, b = (reference.round_to_bfloat16(
        numpy.random.standard_normal(shape).astype('f'))
        for shape in ((32, 2 * n_words), (2 * n_words, 64)))
    return ((a[:, ::2].view('u4') >> 16) | a[:, 1::2].view('u4'),
            (b[::2].view('u4') >> 16) | b[1::2].view('u4'),
            a.astype('d') @ b)


def octets(n_words):
    """Draws rows of uint8 and a panel of int8, and their product."""
    a = numpy.random.randint(0, 256, (32, 4 * n_words)).astype('u1')
    b = numpy.random.randint(-128, 128, (n_words, 64, 4)).astype('i1')
    return a.view('u4'), b.view('u4')[..., 0], a.astype('d') @ (
        b.transpose(0, 2, 1).reshape(-1, 64))


@pytest.mark.parametrize('n_words', [16, 48])
@pytest.mark.parametrize('instruction, is_added, draw, dtype', [
    ('tdpbf16ps', True, pairs, 'f'), ('tdpbusd', False, octets, 'i4')])
def test_code_of_amx(compiled, instruction, is_added, draw, dtype, n_words):
    """Its loads, products and stores give the product, and touch no more."""
    a, b, expected = draw(n_words)
    y = numpy.random.randint(-9, 9, (33, 80)).astype(dtype)
    before = y.copy()
    rows = numpy.zeros((32, n_words + 5), 'u4')
    rows[:, :n_words] = a
    panel = numpy.ascontiguousarray(b)
    compiled(instruction, is_added)(
        rows.ctypes.data, rows.strides[0], panel.ctypes.data, n_words,
        y.ctypes.data, y.strides[0])
    numpy.testing.assert_allclose(
        y[:32, :64], expected + is_added * before[:32, :64], rtol=0,
        atol=1e-4)
    numpy.testing.assert_array_equal(y[32], before[32])
    numpy.testing.assert_array_equal(y[:, 64:], before[:, 64:])


@pytest.mark.parametrize('n_words', [1, 25, 512])
def test_columns_that_nothing_fills_are_0(n_words):
    # Memory that was used before, with subnormal numbers
    numpy.full(n_words * float_tiles.COLUMNS + 64, 1, numpy.uint32)
    panel = float_tiles.make_panel(n_words)
    assert panel.size == n_words * float_tiles.COLUMNS + float_tiles.RUN
    assert panel.ctypes.data % 64 == 0
    assert not panel.any()
