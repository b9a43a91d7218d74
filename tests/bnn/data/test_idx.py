import gzip
import hashlib
import io
import struct
import tracemalloc

import hypothesis
import numpy
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as arrays

from bnn.data import idx
from tests.helpers import random_cases


def _pack(array, dims=None, kind=8):
    dims = array.shape if dims is None else dims
    return struct.pack(
        f'>HBB{len(dims)}I', 0, kind, len(dims), *dims) + array.tobytes()


def _read(data, ndim):
    return idx.read(io.BufferedReader(io.BytesIO(data)), ndim)


IMAGES = numpy.arange(2 * 3 * 4, dtype=numpy.uint8).reshape(2, 3, 4)
LABELS = numpy.array([3, 1, 2], numpy.uint8)


def test_read():
    # The last one is larger than a piece.
    large = numpy.arange(3 << 20, dtype=numpy.uint32).astype(numpy.uint8)
    for array in IMAGES, LABELS, LABELS[:0], large:
        data = _pack(array)
        for packed in (data, gzip.compress(data, 1), gzip.compress(data, 0),
                       gzip.compress(data[:5]) + gzip.compress(data[5:])):
            result, md5 = _read(packed, array.ndim)
            assert result.dtype == numpy.uint8
            assert result.flags.c_contiguous
            assert result.flags.writeable
            numpy.testing.assert_array_equal(result, array)
            assert md5 == hashlib.md5(data).hexdigest()


@pytest.mark.parametrize('data, message', [
    (b'', 'it begins with the bytes , not 00 00 08 03'),
    (b'\0\0\x08', 'not IDX of images'),
    (_pack(IMAGES)[:11], 'header is incomplete'),
    (_pack(IMAGES)[:-1], 'truncated: the header announces 24 bytes'),
    (_pack(IMAGES) + b'\0', 'too long: the header announces 24 bytes'),
    (b'<html>not found</html>', 'not IDX of images: it begins with'),
    (b'\0\0\x08\0', 'not IDX'),
    (_pack(IMAGES, kind=0x0d), 'the bytes 00 00 0d 03, not 00 00 08 03'),
    (_pack(LABELS), 'the bytes 00 00 08 01, not'),
    (_pack(IMAGES, (2, 3, 2, 2)), 'the bytes 00 00 08 04, not'),
    (_pack(IMAGES, (1 << 15, 1 << 15, 2)), 'announces 2147483648 bytes'),
    (_pack(IMAGES, (0xffffffff,) * 3), 'the header announces'),
])
def test_malformed(data, message):
    for packed in data, gzip.compress(data):
        with pytest.raises(ValueError, match=message):
            _read(packed, 3)
    with pytest.raises(ValueError, match='not IDX of labels'):
        _read(_pack(IMAGES), 1)


@random_cases.settings
@hypothesis.given(arrays.arrays(numpy.uint8, arrays.array_shapes(
    min_dims=1, max_dims=3, min_side=0)), strategies.integers(0, 9))
def test_any_array(array, level):
    data = _pack(array)
    for packed in data, gzip.compress(data, level):
        if array.ndim in (1, 3):
            numpy.testing.assert_array_equal(
                _read(packed, array.ndim)[0], array)
        else:
            with pytest.raises(ValueError, match='not IDX of'):
                _read(packed, 3)


@hypothesis.settings(random_cases.settings, max_examples=300)
@hypothesis.given(random_cases.damages(), strategies.booleans())
def test_any_damage(damage, is_packed):
    data = gzip.compress(_pack(IMAGES), mtime=0) if is_packed else (
        _pack(IMAGES))
    try:
        result, _ = _read(damage(data), 3)
    except ValueError as error:
        assert '\n' not in str(error)
    else:
        assert (result.dtype, result.ndim) == (numpy.uint8, 3)


def test_every_damage_of_gzip():
    data = gzip.compress(_pack(IMAGES), mtime=0)
    for i in range(len(data)):
        with pytest.raises(ValueError):
            _read(data[:i], 3)
        damaged = bytearray(data)
        damaged[i] ^= 0xff
        try:
            result, _ = _read(bytes(damaged), 3)
        except ValueError as error:
            assert '\n' not in str(error)
        else:  # a byte of the gzip header that says nothing of the data
            numpy.testing.assert_array_equal(result, IMAGES)
            assert i < 10


def test_memory_follows_the_data_not_what_it_claims():
    bomb = gzip.compress(_pack(LABELS) + bytes(64 << 20), 1)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match='too long'):
            _read(bomb, 1)
        with pytest.raises(ValueError, match='truncated'):
            _read(_pack(LABELS, (idx.MAX_BYTES,)), 1)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
