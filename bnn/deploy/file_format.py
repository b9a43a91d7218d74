"""The file of a packed net, ``.bnn``; docs/packed_format.md describes it.

A header, JSON, arrays; no pickle, nothing that executes.  Lengths and
checksums are compared before anything is made of the contents.
"""
import json
import math
import os
import struct
import zlib

import numpy

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import stages
from bnn.deploy import validation

MAGIC = b'\x89BNN\r\n\x1a\n'
VERSION = 1
# Magic, version, bytes of the JSON and of the file, checksums of what
# follows the header and of the header itself
_HEADER = struct.Struct('<8sIIQII')
_ALIGNMENT = 64
_MAX_JSON = 1 << 24
_DTYPES = {'<f4': numpy.float32, '<i4': numpy.int32, '<i8': numpy.int64,
           '|u1': numpy.uint8, '|b1': numpy.bool_}
_STAGES = {'product': stages.Product, 'bit_max_pooling': stages.BitMaxPooling,
           'pixel_signs': stages.PixelSigns, 'float': stages.FloatStage}
_STAGE_NAMES = {kind: name for name, kind in _STAGES.items()}
_OPERATIONS = {kind.__name__: kind for kind in (
    operations.Rescale, operations.Whiten, operations.BatchNormalization,
    operations.Bias,
    operations.Sign, operations.Quantize, operations.Clip, operations.ReLU,
    operations.RPReLU, operations.MaxPooling2D, operations.AveragePooling2D,
    operations.Mean, operations.Flatten, operations.KeepScale,
    operations.MultiplyScale, operations.Keep, operations.Swap,
    operations.AddKept, operations.PadChannels)}


def dump(net: stages.PackedNet) -> bytes:
    """Returns the contents of a net's file, the same for the same net."""
    arrays = []
    text = {
        'input_shape': net.input_shape,
        'rescale': _fields(net.rescale, arrays),
        'class_names': net.class_names, 'facts': net.facts,
        'stages': [_fields(stage, arrays) for stage in net.stages],
        'arrays': []}
    body, offset = [], 0
    for array in arrays:
        dtype = array.dtype.newbyteorder('<')
        text['arrays'].append({
            'dtype': dtype.str, 'shape': array.shape, 'offset': offset})
        data = _aligned(array.astype(dtype).tobytes(), b'\0')
        offset += len(data)
        body.append(data)
    text = _aligned(json.dumps(
        text, allow_nan=False, separators=(',', ':')).encode(), b' ',
        _HEADER.size)
    body = b''.join([text, *body])
    head = _HEADER.pack(MAGIC, VERSION, len(text), _HEADER.size + len(body),
                        zlib.crc32(body), 0)[:-4]
    return head + struct.pack('<I', zlib.crc32(head)) + body


def _aligned(data, filler, before=0):
    return data + filler * (-(before + len(data)) % _ALIGNMENT)


def _fields(thing, arrays):
    """Returns the fields of a dataclass; arrays become their numbers."""
    found = {}
    if type(thing) in _STAGE_NAMES:
        found['stage'] = _STAGE_NAMES[type(thing)]
    elif isinstance(thing, operations.Operation):
        found['operation'] = type(thing).__name__
    for name in thing.__dataclass_fields__:
        value = getattr(thing, name)
        if isinstance(value, numpy.ndarray):
            arrays.append(value)
            value = {'array': len(arrays) - 1}
        elif isinstance(value, (stages.PackedWeights, operations.Operation)):
            value = _fields(value, arrays)
        found[name] = value
    return found


def load(path: str) -> stages.PackedNet:
    """Reads a file.

    Args:
        path: The file.

    Returns:
        The net, checked.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read, is not a packed
            net, is damaged or of a later version, or contradicts itself.
    """
    if not os.path.isfile(path) and os.path.exists(path):
        raise errors.UserError(f'{path} is not a file')
    with errors.reading(path), open(path, 'rb') as f:
        size = os.fstat(f.fileno()).st_size
        try:
            head = f.read(_HEADER.size)
            _check_header(head, size)  # before the rest is read
            return parse(head + f.read(size - len(head)))
        except errors.UserError as e:
            raise errors.UserError(f'{path} {e}') from None


def _check_header(head, size):
    """Returns the length of the JSON and the checksum of the rest."""
    if head[:len(MAGIC)] != MAGIC:
        raise errors.UserError(
            'is not a packed net; export.py makes one of a model'
            if size else 'is empty')
    if len(head) < _HEADER.size:
        raise errors.UserError('is truncated: its header is not whole')
    _, version, n_text, length, check_rest, check = _HEADER.unpack(head)
    if version > VERSION:
        raise errors.UserError(
            f'is of version {version} of the format; this program reads up '
            f'to {VERSION}: update it')
    if version < 1 or zlib.crc32(head[:-4]) != check:
        raise errors.UserError('is damaged: the checksum of its header is '
                               'wrong')
    if size != length:
        kind = 'truncated' if size < length else 'damaged'
        raise errors.UserError(f'is {kind}: it has {size} bytes of {length}')
    if not 2 <= n_text <= min(_MAX_JSON, length - _HEADER.size):
        raise errors.UserError(
            f'is damaged: its description has {n_text} bytes')
    return n_text, check_rest


def parse(contents: bytes) -> stages.PackedNet:
    """Makes a net of the contents of a file.

    Args:
        contents: The contents.

    Returns:
        The net, checked.

    Raises:
        ~bnn.errors.UserError: As :func:`load`, without the name of the file.
    """
    n_text, check = _check_header(contents[:_HEADER.size], len(contents))
    view = memoryview(contents)
    if zlib.crc32(view[_HEADER.size:]) != check:
        raise errors.UserError('is damaged: its checksum is wrong')
    start = _HEADER.size + n_text
    try:
        text = json.loads(bytes(view[_HEADER.size:start]),
                          parse_constant=_refuse)
        arrays = [_array(view[start:], **entry) for entry in text['arrays']]
        net = stages.PackedNet(
            input_shape=_tuples(text['input_shape']),
            rescale=_thing(text['rescale'], arrays),
            stages=tuple(_thing(stage, arrays) for stage in text['stages']),
            class_names=_tuples(text['class_names']), facts=text['facts'])
        validation.check(net)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError,
            OverflowError, RecursionError) as e:
        raise errors.UserError(
            f'contradicts itself: {errors.one_line(e)}') from e
    return net


def _refuse(word):
    raise ValueError(f'{word} is no JSON')


def _array(data, dtype, shape, offset):
    kind = numpy.dtype(_DTYPES[dtype]).newbyteorder('<')
    n = math.prod(validation.whole(v, 0, 1 << 40) for v in shape)
    validation.whole(offset, 0, len(data))
    if offset + n * kind.itemsize > len(data):
        raise ValueError('an array ends behind the file')
    if dtype == '|b1' and n and numpy.frombuffer(
            data, numpy.uint8, n, offset).max() > 1:
        raise ValueError('a truth value is neither 0 nor 1')
    # In the machine's byte order, and read-only
    array = numpy.frombuffer(data, kind, n, offset).astype(
        _DTYPES[dtype]).reshape(shape)
    array.flags.writeable = False
    return array


def _thing(entry, arrays):
    """Makes a stage or an operation of its fields."""
    entry = dict(entry)
    if 'stage' in entry:
        kind = _STAGES[entry.pop('stage')]
    else:
        kind = _OPERATIONS[entry.pop('operation')]
    for name, value in entry.items():
        if name == 'weights':
            value = stages.PackedWeights(**{
                key: _value(one, arrays) for key, one in value.items()})
        elif name == 'operation':
            value = _thing(value, arrays)
        else:
            value = _value(value, arrays)
        entry[name] = value
    return kind(**entry)


def _value(value, arrays):
    if isinstance(value, dict):
        number, = value.values()
        return arrays[validation.whole(number, 0, len(arrays) - 1)]
    return _tuples(value)


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
