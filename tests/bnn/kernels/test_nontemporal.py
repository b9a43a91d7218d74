"""Results past the cache: the same bits as through it."""
import re

import numba
import numpy
import pytest

from bnn.kernels import batch_norm
from bnn.kernels import convolution
from bnn.kernels import nontemporal
from bnn.kernels import sign_convolution
from bnn.kernels import sign_images
from bnn.kernels import threads

BYTES = numpy.arange(1 << 12, dtype=numpy.uint8) * numpy.uint8(37)


def test_empty():
    for dtype in numpy.float32, numpy.float64:
        for shape in (3, 5, 7), (1,):
            x = nontemporal.empty(shape, dtype)
            assert (x.shape, x.dtype) == (shape, dtype)
            assert x.flags.c_contiguous
            assert x.flags.writeable
            assert x.ctypes.data % 64 == 0
    assert nontemporal.empty((0, 4), numpy.float32).shape == (0, 4)


@numba.njit
def copy(source, target, n_bytes):
    nontemporal.copy(source, target, n_bytes)
    nontemporal.finish()


def test_copy():
    """Whole lines, from any address, and nothing beside them."""
    for start in 0, 4, 20:
        target = nontemporal.empty((64, 64), numpy.uint8)
        target[...] = 255
        copy(BYTES[start:].ctypes.data, target[3:].ctypes.data, 128)
        assert (target[:3] == 255).all()
        numpy.testing.assert_array_equal(
            target[3:5].reshape(-1), BYTES[start:start + 128])
        assert (target[5:] == 255).all()


def test_fence():
    """What is stored past the cache is fenced."""
    copy(BYTES.ctypes.data,
         nontemporal.empty((64,), numpy.uint8).ctypes.data, 64)
    code, = copy.inspect_asm().values()
    assert re.search(r'^\s+(mfence|lock|dmb)\b', code, re.MULTILINE)


def test_which_results():
    large = nontemporal.empty((1 << 23,), numpy.float32)
    assert nontemporal.is_streamed(large, 16)
    assert nontemporal.is_streamed(large, 1024)
    assert not nontemporal.is_streamed(large, 24)
    assert not nontemporal.is_streamed(large[1:], 16)
    assert nontemporal.is_streamed(
        nontemporal.empty((1 << 22,), numpy.float64), 8)


def normal(*shape, dtype):
    return numpy.random.standard_normal(shape).astype(dtype)


def convolve(dtype, size):
    if dtype != numpy.float32:
        return
    x, W = normal(3, 5, *size, dtype='f'), normal(7, 5, 3, 3, dtype='f')
    stride = pad = dilate = 1, 1
    for precision in 'float32', 'bfloat16':
        yield convolution.input_gradient(
            normal(3, 7, *size, dtype='f'), W, stride, pad, dilate, size,
            None, precision)
    yield convolution.convolve(x, W, stride, pad, dilate)


def convolve_signs(dtype, size):
    for pad, k in ((1, 1), 3), ((0, 0), 1):
        packed = sign_images.pack(
            numpy.where(normal(3, 40, *size, dtype=dtype) > 0, 1, -1).astype(
                dtype), pad)
        yield sign_convolution.sign_convolution(
            packed, normal(7, 40, k, k, dtype=dtype), normal(7, dtype=dtype),
            normal(7, dtype=dtype), (1, 1), (1, 1))


def normalize(dtype, size):
    x, gy = normal(2, 4, 5, *size, dtype=dtype)
    gamma, beta = normal(2, 5, dtype=dtype)
    for name in 'batch_norm', 'normalized_signs', 'normalized_relu':
        y, *statistics = getattr(batch_norm, name)(x, gamma, beta, 1e-4)
        mean, _, inv_std = statistics
        yield from (y, *statistics)
        shift = () if name == 'batch_norm' else (beta,)
        yield from getattr(batch_norm, name + '_gradient')(
            x, gy, gamma, *shift, mean, inv_std)


@pytest.mark.parametrize('results', [convolve, convolve_signs, normalize])
def test_same_bits(results, monkeypatch):
    asked = []

    def is_streamed(*args):
        asked.append(of_module(*args))
        return asked[-1]

    of_module = nontemporal.is_streamed
    for dtype in numpy.float32, numpy.float64:
        for size in (8, 8), (4, 8), (16, 16), (5, 9):  # the last: no lines
            numpy.random.seed(0)
            expected = list(results(dtype, size))
            asked.clear()
            with monkeypatch.context() as patch:
                patch.setattr(nontemporal, '_LARGE', 0)
                patch.setattr(threads, '_MIN_WORK', 0)  # on all threads
                patch.setattr(nontemporal, 'is_streamed', is_streamed)
                numpy.random.seed(0)
                found = list(results(dtype, size))
            assert bool(asked) == bool(expected)
            assert not expected or any(asked) == (size != (5, 9))
            for a, b in zip(found, expected, strict=True):
                assert a.tobytes() == b.tobytes()
