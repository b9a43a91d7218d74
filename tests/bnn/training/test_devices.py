"""Devices, with CUDA faked in every state it can be in."""
import types

import chainer
import numpy
import pytest
from chainer.backends import cuda

from bnn import errors
from bnn.kernels import float_tiles
from bnn.training import devices


class CUDARuntimeError(RuntimeError):
    pass


@pytest.fixture
def unavailable(monkeypatch):
    def set_reason(reason):
        monkeypatch.setattr(cuda, 'available', False)
        monkeypatch.setattr(cuda, '_resolution_error', reason, raising=False)
    return set_reason


@pytest.fixture
def fake_cuda(monkeypatch):
    def set_count(get_count):
        runtime = types.SimpleNamespace(
            getDeviceCount=get_count, CUDARuntimeError=CUDARuntimeError)
        monkeypatch.setattr(cuda, 'available', True)
        monkeypatch.setattr(cuda, 'cupy', types.SimpleNamespace(
            cuda=types.SimpleNamespace(runtime=runtime)))
    return set_count


def error(gpu):
    with pytest.raises(errors.UserError) as e:
        devices.get(gpu)
    line = str(e.value)
    assert '\n' not in line
    assert line.startswith(f'--gpu {gpu}: ')
    return line


def test_cpu():
    device = devices.get(-1)
    assert device.xp is numpy
    assert device == chainer.get_device('@numpy')
    assert chainer.backend.get_device_from_array(numpy.zeros(1)) == device


def test_describe_cpu(monkeypatch):
    device = chainer.get_device('@numpy')
    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    assert devices.describe(device) == 'CPU, 3 threads'
    monkeypatch.delenv('OMP_NUM_THREADS')
    monkeypatch.setattr(devices.os, 'cpu_count', lambda: 12)
    assert devices.describe(device) == 'CPU, 12 threads'


def test_describe_gpu(monkeypatch):
    monkeypatch.setattr(cuda, 'cupy', types.SimpleNamespace(
        cuda=types.SimpleNamespace(runtime=types.SimpleNamespace(
            getDeviceProperties=lambda i: {'name': b'Fake %d' % i}))))
    device = types.SimpleNamespace(
        xp=types.SimpleNamespace(__name__='cupy'),
        device=types.SimpleNamespace(id=2))
    assert devices.describe(device) == 'GPU 2, Fake 2'


def test_precision_is_set(monkeypatch):
    monkeypatch.setattr(
        chainer.global_config, 'precision', 'float32', raising=False)
    devices.get(-1, 'bfloat16')
    assert chainer.config.precision == 'bfloat16'


@pytest.mark.parametrize('gpu, precision, unit, words', [
    (-1, 'float32', 'MATRIX', 'float32'),
    (-1, 'bfloat16', 'MATRIX', 'bfloat16 on AMX'),
    (-1, 'bfloat16', 'PAIRS', 'bfloat16 on AVX512-BF16'),
    (-1, 'bfloat16', 'FLOATS', 'bfloat16 on float32 vectors'),
    (0, 'bfloat16', 'MATRIX', 'float32 on a GPU')])
def test_describe_products(gpu, precision, unit, words, monkeypatch):
    monkeypatch.setattr(float_tiles, 'UNIT', getattr(float_tiles, unit))
    assert devices.describe_products(gpu, precision) == words


def test_negative():
    assert 'no such GPU' in error(-2)


def test_no_cupy(unavailable):
    unavailable(ModuleNotFoundError("No module named 'cupy'", name='cupy'))
    line = error(0)
    assert 'CuPy is not installed' in line
    assert 'pip install -r requirements-gpu.txt' in line


def test_reason_is_shown(unavailable):
    for reason in (
            ImportError('libcublas.so.12: cannot open shared object file'),
            RuntimeError('first line\nlibcublas.so.12: second\tline'),
            ModuleNotFoundError('libcublas.so.12', name='cupy_backends')):
        unavailable(reason)
        line = error(0)
        assert 'CUDA cannot be used' in line
        assert 'libcublas.so.12' in line
        assert 'not installed' not in line


def test_reason_without_text(unavailable):
    unavailable(MemoryError())
    assert 'MemoryError' in error(0)


def test_too_large(fake_cuda):
    fake_cuda(lambda: 2)
    for gpu in (2, 3, 100):
        assert 'this machine has 2' in error(gpu)


def test_no_driver(fake_cuda):
    def get_count():
        raise CUDARuntimeError('cudaErrorInsufficientDriver: \n driver')

    fake_cuda(get_count)
    line = error(0)
    assert 'finds no GPU' in line
    assert 'cudaErrorInsufficientDriver: driver' in line


def test_gpu_there(fake_cuda, monkeypatch):
    fake_cuda(lambda: 2)
    used = []
    monkeypatch.setattr(chainer, 'get_device', lambda name: (
        types.SimpleNamespace(name=name, use=lambda: used.append(name))))
    assert devices.get(1).name == '@cupy:1'
    assert used == ['@cupy:1']
