"""Which processor the vectors are for."""
import os
import pathlib
import subprocess
import sys

import llvmlite.binding
import numba
import pytest

from bnn.kernels import tiles

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


@pytest.mark.slow
def test_without_avx512(tmp_path):
    """What LLVM refuses would end the process, with an assertion."""
    result = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
         HERE / 'test_packed_perceptron.py', HERE / 'test_bit_images.py',
         f'{HERE / "test_signs.py"}::test_small_integers_are_exact'],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, 'NUMBA_CPU_NAME': 'generic',
             'NUMBA_CACHE_DIR': str(tmp_path / 'cache')})
    assert result.returncode == 0, result.stdout + result.stderr


def test_features(monkeypatch):
    monkeypatch.setattr(
        llvmlite.binding, 'get_host_cpu_features',
        lambda: {'avx512f': True, 'amx-tile': True, 'sse2': False})
    monkeypatch.setattr(numba.config, 'ENABLE_AVX', 1)
    for given, expected in (
            (None, {'avx512f': True, 'amx-tile': True, 'sse2': False}),
            ('', {}),
            ('+avx512f,-amx-tile,', {'avx512f': True, 'amx-tile': False})):
        monkeypatch.setattr(numba.config, 'CPU_FEATURES', given)
        assert tiles._find_features() == expected


def test_features_without_avx(monkeypatch):
    monkeypatch.setattr(
        llvmlite.binding, 'get_host_cpu_features',
        lambda: {'avx512f': True, 'sse2': True})
    monkeypatch.setattr(numba.config, 'CPU_FEATURES', None)
    monkeypatch.setattr(numba.config, 'ENABLE_AVX', 0)
    assert tiles._find_features() == {'avx512f': False, 'sse2': True}
