"""Tables of sums against products, and their code."""
import itertools
import re

import numba
import numpy
import pytest
from llvmlite import ir

from bnn.kernels import sign_tables
from tests.helpers import assembly

EPS = 2. ** -23


@numba.njit
def multiply(n_patterns, patterns, groups, panel, table, y):
    sign_tables.fill(n_patterns, panel.ctypes.data, panel.strides[0],
                     len(groups), table.ctypes.data)
    sign_tables.look_up(
        n_patterns, patterns.ctypes.data, patterns.strides[0], len(patterns),
        groups.ctypes.data, len(groups), table.ctypes.data, y.ctypes.data,
        y.strides[0])


@pytest.mark.parametrize('n_patterns, digits', [
    (sign_tables.SIGNS, (-1, 1)), (sign_tables.ZEROS, (-1, 0, 1))])
def test_rows_and_groups(n_patterns, digits):
    """Any number of them is added, and nothing else is touched."""
    for n_rows, n_groups in itertools.product(
            (0, 1, 2, 3, 5, 6, 7, 20), (1, 2, sign_tables.GROUPS)):
        numbers = numpy.random.choice(len(digits), (n_rows, n_groups, 4))
        patterns = numpy.full((n_rows, 3 * n_groups), 255, 'u1')
        # The patterns of a row lie anywhere.
        groups = numpy.random.permutation(3 * n_groups)[:n_groups]
        patterns[:, groups] = numbers @ len(digits) ** numpy.arange(4)
        panel = numpy.random.standard_normal((4 * n_groups, 40)).astype('f')
        y = numpy.random.standard_normal((n_rows + 1, 35)).astype('f')
        before = y.copy()
        multiply(n_patterns, patterns, groups, panel,
                 numpy.empty(n_groups * n_patterns * 32, 'f'), y)
        signs = numpy.array(digits)[numbers].reshape(n_rows, 4 * n_groups)
        panel = panel[:, :32].astype('d')
        bound = abs(before[:-1, :32]) + abs(signs) @ abs(panel)
        assert (abs(y[:-1, :32] - before[:-1, :32] - signs @ panel)
                <= (4 * n_groups + 1) * EPS * bound).all()
        y[:-1, :32] = before[:-1, :32]
        numpy.testing.assert_array_equal(y, before)


def test_pack():
    x = numpy.array([[1, -1, 0, -0., numpy.nan] + [-1] * 12 + [2]], 'f')
    numpy.testing.assert_array_equal(
        sign_tables.pack(x).view('u1'), [[0b1101, 0, 0, 0, 0b10, 0, 0, 0]])


@pytest.mark.parametrize('processor', ['skylake-avx512', 'haswell'])
def test_code_for_other_processors(processor, monkeypatch):
    """A sum from the table is one addition, and the sums are in registers."""
    lanes = 8 if processor == 'haswell' else 16
    rows = 12 * lanes // sign_tables.COLUMNS
    for name, value in {
            'LANES': lanes,
            '_FLOATS': ir.VectorType(ir.FloatType(), lanes)}.items():
        monkeypatch.setattr(sign_tables, name, value)

    def emit(builder, *args):
        sign_tables.emit_rows(rows, builder, *args)

    code = assembly.compile_for(processor, emit, 8)
    assert len(re.findall(r'vaddps\t\S*\(%r', code)) == 12
    assert not re.search(r'mm\d+, -?\d*\(%rsp\)', code)
