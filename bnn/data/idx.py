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

MAX_BYTES = 1 << 30
_CHUNK = 1 << 20


def read(stream, ndim):
    """Reads one IDX file, gzipped or not, as its first bytes say.

    It unpacks one byte more than the header announces at most.

    Args:
        stream (io.BufferedReader): The file, opened for reading bytes.
        ndim (int): The number of dimensions that it must have.

    Returns:
        tuple: The array (uint8, ``ndim`` dimensions, C-contiguous) and the
        MD5 of the unpacked file in hex.

    Raises:
        ValueError: It is no such file.
    """
    try:
        if stream.peek(2)[:2] == b'\x1f\x8b':
            with gzip.GzipFile(fileobj=stream) as unpacked:
                return _read_unpacked(unpacked, ndim)
        return _read_unpacked(stream, ndim)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f'damaged gzip data ({error})') from None


def _read_unpacked(stream, ndim):
    header = stream.read(4 + 4 * ndim)
    magic = bytes([0, 0, 8, ndim])
    if header[:4] != magic:
        raise ValueError(
            f'not IDX of {"images" if ndim == 3 else "labels"}: it begins '
            f'with the bytes {header[:4].hex(" ")}, not {magic.hex(" ")}')
    if len(header) < 4 + 4 * ndim:
        raise ValueError('truncated: the header is incomplete')
    shape = struct.unpack(f'>{ndim}I', header[4:])
    size = math.prod(shape)
    if size > MAX_BYTES:
        raise ValueError(
            f'the header announces {size} bytes, more than {MAX_BYTES}')
    # In pieces, so that memory grows with what is there and not with what the
    # header claims. One byte more makes gzip check its CRC.
    body = bytearray()
    while piece := stream.read(min(_CHUNK, size + 1 - len(body))):
        body += piece
    if len(body) != size:
        raise ValueError(
            f'{"truncated" if len(body) < size else "too long"}: the header '
            f'announces {size} bytes')
    md5 = hashlib.md5(header, usedforsecurity=False)
    md5.update(body)
    return numpy.frombuffer(body, numpy.uint8).reshape(shape), md5.hexdigest()
