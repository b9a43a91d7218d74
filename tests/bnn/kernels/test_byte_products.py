"""Products of bytes, in each way that a processor may have."""
import os
import pathlib
import subprocess
import sys

import numpy
import pytest

from bnn.kernels import byte_products
from bnn.kernels import byte_tiles
from tests.helpers import assembly

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


@pytest.mark.skipif(not byte_products.IS_AVAILABLE,
                    reason='the processor has no products of bytes')
@pytest.mark.parametrize('shape', [
    (1, 1, 1), (6, 4, 64), (7, 5, 65), (33, 63, 1), (64, 64, 128),
    (97, 65, 63), (200, 784, 130), (0, 5, 3), (3, 0, 5), (3, 5, 0)])
def test_products(shape):
    m, k, n = shape
    x = numpy.random.randint(0, 256, (m, k)).astype(numpy.uint8)
    largest = byte_products.LARGEST
    W = numpy.random.randint(-largest, largest + 1, (n, k)).astype(numpy.int8)
    x[:1], W[:1], W[1:2] = 255, -largest, largest
    y = byte_products.multiply(x, byte_products.arrange(W))
    assert y.dtype == numpy.int32
    numpy.testing.assert_array_equal(y, x.astype(int) @ W.T.astype(int))


@pytest.mark.parametrize('processor, multiply, instruction, n', [
    ('haswell', byte_tiles.multiply_pairs, 'vpmaddubsw', 32),
    ('znver3', byte_tiles.multiply_pairs, 'vpmaddwd', 32),
    ('icelake-server', byte_tiles.multiply_words, 'vpdpbusd', 24),
    ('znver4', byte_tiles.multiply_words, 'vpdpbusd', 24),
    ('sapphirerapids', byte_tiles.multiply_tiles, 'tdpbusd', 8)])
def test_code_for_other_processors(processor, multiply, instruction, n):
    """Each tile compiles to the instruction that it is written for."""
    assert assembly.compile_for(processor, multiply).count(instruction) == n


@pytest.mark.slow
def test_matrix_unit(tmp_path):
    """The kernels that use it, with a stand-in for its instructions."""
    result = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
         '-p', 'tests.helpers.matrix_unit',
         f'{HERE / "test_byte_products.py"}::test_products',
         f'{HERE / "test_packed_perceptron.py"}::test_perceptron[True-True]',
         f'{HERE / "test_convolution.py"}::test_geometries[2-bfloat16]',
         f'{HERE / "test_products.py"}::test_product[AMX]'],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={**os.environ, 'NUMBA_CACHE_DIR': str(tmp_path / 'cache'),
             'NUMBA_NUM_THREADS': '1'})
    assert result.returncode == 0, result.stdout + result.stderr
