import gzip
import hashlib
import io
import struct
import tracemalloc

import numpy
import pytest

from bnn.data import errors
from bnn.data import idx


def _pack(array, dims=None, kind=8):
    dims = array.shape if dims is None else dims
    return struct.pack(
        f'>HBB{len(dims)}I', 0, kind, len(dims), *dims) + array.tobytes()


def _read(data, ndim):
    return idx.read(io.BufferedReader(io.BytesIO(data)), ndim)


IMAGES = numpy.arange(2 * 3 * 4, dtype=numpy.uint8).reshape(2, 3, 4)
LABELS = numpy.array([3, 1, 2], numpy.uint8)


@pytest.mark.parametrize('array', [IMAGES, LABELS, LABELS[:0]])
@pytest.mark.parametrize(
    'compress', [bytes, gzip.compress, lambda d: gzip.compress(d, 0),
                 lambda d: gzip.compress(d[:5]) + gzip.compress(d[5:])])
def test_read(array, compress):
    data = _pack(array)
    result, md5 = _read(compress(data), array.ndim)
    assert result.dtype == numpy.uint8
    assert result.flags.c_contiguous
    numpy.testing.assert_array_equal(result, array)
    assert md5 == hashlib.md5(data).hexdigest()


def test_larger_than_a_piece():
    array = numpy.arange(3 << 20, dtype=numpy.uint32).astype(numpy.uint8)
    result, _ = _read(gzip.compress(_pack(array), 1), 1)
    numpy.testing.assert_array_equal(result, array)


@pytest.mark.parametrize('compress', [bytes, gzip.compress])
@pytest.mark.parametrize('data, message', [
    (b'', 'empty'),
    (b'\0\0\x08', 'header is incomplete'),
    (_pack(IMAGES)[:11], 'header is incomplete'),
    (_pack(IMAGES)[:-1], 'truncated: 23 of 24 bytes'),
    (_pack(IMAGES) + b'\0', 'data goes on after the 24 bytes'),
    (b'<html>not found</html>', 'not an IDX file'),
    (b'\0\0\x08\0', 'not an IDX file'),
    (_pack(IMAGES, kind=0x0d), '0x0d, not of unsigned bytes'),
    (_pack(LABELS), 'mislabelled: IDX of labels in the place of images'),
    (_pack(IMAGES, (2, 3, 2, 2)), 'IDX of 4 dimensions in the place'),
    (_pack(IMAGES, (1 << 15, 1 << 15, 2)), 'announces 2147483648 bytes'),
    (_pack(IMAGES, (0xffffffff,) * 3), 'the header announces'),
])
def test_malformed(data, message, compress):
    with pytest.raises(errors.CorruptError, match=message):
        _read(compress(data), 3)


def test_images_for_labels():
    with pytest.raises(errors.CorruptError, match='images in the place of l'):
        _read(_pack(IMAGES), 1)


def test_every_truncation_of_gzip():
    data = gzip.compress(_pack(IMAGES))
    for n in range(len(data)):
        with pytest.raises(errors.CorruptError):
            _read(data[:n], 3)


def test_every_damaged_byte_of_gzip():
    data = gzip.compress(_pack(IMAGES), mtime=0)
    for i in range(len(data)):
        damaged = bytearray(data)
        damaged[i] ^= 0xff
        try:
            result, _ = _read(bytes(damaged), 3)
        except errors.CorruptError as error:
            assert '\n' not in str(error)
        else:  # a byte of the gzip header that says nothing of the data
            numpy.testing.assert_array_equal(result, IMAGES)
            assert i < 10


def test_bomb_is_not_unpacked():
    bomb = gzip.compress(_pack(LABELS) + bytes(64 << 20), 1)
    tracemalloc.start()
    try:
        with pytest.raises(errors.CorruptError, match='goes on after'):
            _read(bomb, 1)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_memory_follows_the_data_not_the_header():
    tracemalloc.start()
    try:
        with pytest.raises(errors.CorruptError, match='truncated: 3 of'):
            _read(_pack(LABELS, (idx.MAX_BYTES,)), 1)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
