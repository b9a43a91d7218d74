"""The IDX format of MNIST: unsigned bytes under a small header.

Header: two zero bytes, the type (8: unsigned byte), the number of dimensions,
then each dimension as a big-endian 32-bit integer. Source: Y. LeCun,
C. Cortes and C. Burges, "The MNIST database of handwritten digits".
"""
import gzip
import hashlib
import math
import struct
import zlib

import numpy

from bnn.data import errors

MAX_BYTES = 1 << 30
_CHUNK = 1 << 20
_KINDS = {1: 'labels', 3: 'images'}


def read(stream, ndim):
    """Reads one IDX file, gzipped or not, as its first bytes say.

    Never more is unpacked than the header announces and one byte.

    Args:
        stream (io.BufferedReader): The file, opened for reading bytes.
        ndim (int): The number of dimensions that it must have.

    Returns:
        tuple: The array (uint8, ``ndim`` dimensions, C-contiguous) and the
        MD5 of the unpacked file in hex.

    Raises:
        CorruptError: It is no such file. The message gives the reason alone,
            for the caller to say of which file.
        OSError: The stream cannot be read.

    """
    try:
        if stream.peek(2)[:2] == b'\x1f\x8b':
            with gzip.GzipFile(fileobj=stream) as unpacked:
                return _read_unpacked(unpacked, ndim)
        return _read_unpacked(stream, ndim)
    except EOFError:
        raise errors.CorruptError('truncated gzip data') from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise errors.CorruptError(f'corrupt gzip data ({error})') from None


def _read_unpacked(stream, ndim):
    header = _read_upto(stream, 4 + 4 * ndim)
    _check_magic(header[:4], ndim)
    if len(header) < 4 + 4 * ndim:
        raise errors.CorruptError('truncated: the header is incomplete')
    shape = struct.unpack(f'>{ndim}I', header[4:])
    size = math.prod(shape)
    if size > MAX_BYTES:
        raise errors.CorruptError(
            f'the header announces {size} bytes, more than {MAX_BYTES}')
    # The byte more finds trailing data, and makes gzip check its CRC
    body = _read_upto(stream, size + 1)
    if len(body) < size:
        raise errors.CorruptError(
            f'truncated: {len(body)} of {size} bytes after the header')
    if len(body) > size:
        raise errors.CorruptError(
            f'data goes on after the {size} bytes that the header announces')
    md5 = hashlib.md5(header, usedforsecurity=False)
    md5.update(body)
    array = numpy.frombuffer(body, numpy.uint8).reshape(shape)
    return array, md5.hexdigest()


def _check_magic(magic, ndim):
    if len(magic) < 4:
        raise errors.CorruptError(
            'empty' if not magic else 'truncated: the header is incomplete')
    if magic[:2] != b'\0\0' or not magic[3]:
        raise errors.CorruptError('not an IDX file')
    if magic[2] != 8:
        raise errors.CorruptError(
            f'IDX of type 0x{magic[2]:02x}, not of unsigned bytes (0x08)')
    if magic[3] != ndim:
        found, wanted = (
            _KINDS.get(n, f'{n} dimensions') for n in (magic[3], ndim))
        raise errors.CorruptError(
            f'mislabelled: IDX of {found} in the place of {wanted}')


def _read_upto(stream, size):
    # In pieces, so that memory grows with what is there and not with what a
    # header claims
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(_CHUNK, size - len(data)))
        if not piece:
            break
        data += piece
    return data
