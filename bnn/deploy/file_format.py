"""The file of a packed net, ``.bnn``; docs/packed_format.md describes it.

No pickle, nothing that executes: a header, JSON, arrays.  Lengths and
checksum are compared before anything is made of the contents.
"""
import json
import math
import os
import struct
import zlib

import numpy

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import validation

MAGIC = b'\x89BNN\r\n\x1a\n'
VERSION = 1
_HEADER = struct.Struct('<8sIIQII')  # the last is the checksum of the rest
_ALIGNMENT = 64
_MAX_JSON = 1 << 24
_DTYPES = {'<f4': numpy.float32, '<i4': numpy.int32, '<i8': numpy.int64,
           '|u1': numpy.uint8, '|b1': numpy.bool_}

STAGES = {'product': packed.Product, 'bit_max_pooling': packed.BitMaxPooling,
          'pixel_signs': packed.PixelSigns, 'float': packed.FloatStage}
OPERATIONS = {kind.__name__: kind for kind in (
    operations.Rescale, operations.BatchNormalization, operations.Bias,
    operations.Sign, operations.Quantize, operations.Clip, operations.ReLU,
    operations.RPReLU, operations.MaxPooling2D, operations.AveragePooling2D,
    operations.Mean, operations.Flatten, operations.KeepScale,
    operations.MultiplyScale)}
_STAGE_NAMES = {kind: name for name, kind in STAGES.items()}


def dump(net):
    """Returns the contents of a file.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Returns:
        bytes: The contents; the same for the same net.

    """
    arrays = []
    text = json.dumps({
        'input_shape': net.input_shape, 'rescale': _fields(
            net.rescale, arrays),
        'class_names': net.class_names, 'facts': net.facts,
        'stages': [_fields(stage, arrays) for stage in net.stages],
        'arrays': _Later(arrays)}, default=_describe, allow_nan=False,
        separators=(',', ':')).encode()
    text += b' ' * (-(_HEADER.size + len(text)) % _ALIGNMENT)
    parts = [text]
    for array in arrays:
        data = array.astype(array.dtype.newbyteorder('<')).tobytes()
        parts += [data, bytes(-len(data) % _ALIGNMENT)]
    body = b''.join(parts)
    head = _HEADER.pack(MAGIC, VERSION, len(text), _HEADER.size + len(body),
                        zlib.crc32(body), 0)[:-4]
    return head + struct.pack('<I', zlib.crc32(head)) + body


class _Later(object):
    """Arrays that are described once all are known."""

    def __init__(self, arrays):
        self.arrays = arrays


def _describe(value):
    if not isinstance(value, _Later):
        raise TypeError('%r is no JSON' % (value,))
    described, offset = [], 0
    for array in value.arrays:
        described.append({
            'dtype': array.dtype.newbyteorder('<').str,
            'shape': array.shape, 'offset': offset})
        offset += array.nbytes + -array.nbytes % _ALIGNMENT
    return described


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
        elif isinstance(value, (packed.PackedWeights, operations.Operation)):
            value = _fields(value, arrays)
        found[name] = value
    return found


def load(path):
    """Reads a file.

    Args:
        path (str): The file.

    Returns:
        ~bnn.deploy.packed.PackedNet: The net, checked.

    Raises:
        ~bnn.errors.UserError: If it cannot be read, is not a packed net,
            damaged, of a later version, or contradicts itself.

    """
    try:
        if not os.path.isfile(path) and os.path.exists(path):
            raise errors.UserError('%s is not a file' % path)
        with open(path, 'rb') as f:
            size = os.fstat(f.fileno()).st_size
            try:
                n_text = _check_header(f.read(_HEADER.size), size)
                f.seek(0)
                contents = f.read(size)
                return parse(contents, n_text)
            except errors.UserError as e:
                raise errors.UserError('%s %s' % (path, e)) from None
    except OSError as e:
        raise errors.UserError(
            'cannot read %s: %s' % (path, e.strerror or e)) from e


def _check_header(head, size):
    """Returns the length of the JSON."""
    if head[:len(MAGIC)] != MAGIC:
        raise errors.UserError(
            'is not a packed net; export.py makes one of a model'
            if size else 'is empty')
    if len(head) < _HEADER.size:
        raise errors.UserError('is truncated: its header is not whole')
    _, version, n_text, length, _, check = _HEADER.unpack(head)
    if version > VERSION:
        raise errors.UserError(
            'is of version %d of the format; this program reads up to %d: '
            'update it' % (version, VERSION))
    if version < 1 or zlib.crc32(head[:-4]) != check:
        raise errors.UserError('is damaged: the checksum of its header is '
                               'wrong')
    if size != length:
        raise errors.UserError(
            'is %s: it has %d bytes of %d' % (
                'truncated' if size < length else 'damaged', size, length))
    if not 2 <= n_text <= min(_MAX_JSON, length - _HEADER.size):
        raise errors.UserError('is damaged: its description has %d bytes'
                               % n_text)
    return n_text


def parse(contents, n_text=None):
    """Makes a net of the contents of a file, as :func:`load`.

    Args:
        contents (bytes): The contents.

    Returns:
        ~bnn.deploy.packed.PackedNet: The net, checked.

    Raises:
        ~bnn.errors.UserError: As :func:`load`, without the name of the file.

    """
    if n_text is None:
        n_text = _check_header(contents[:_HEADER.size], len(contents))
    view = memoryview(contents)
    if zlib.crc32(view[_HEADER.size:]) != _HEADER.unpack(
            view[:_HEADER.size])[4]:
        raise errors.UserError('is damaged: its checksum is wrong')
    start = _HEADER.size + n_text
    try:
        text = json.loads(bytes(view[_HEADER.size:start]),
                          parse_constant=_refuse)
        arrays = [_array(view[start:], **entry) for entry in text['arrays']]
        net = packed.PackedNet(
            input_shape=_tuples(text['input_shape']),
            rescale=_thing(text['rescale'], arrays),
            stages=tuple(_thing(stage, arrays) for stage in text['stages']),
            class_names=_tuples(text['class_names']), facts=text['facts'])
        validation.check(net)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError,
            OverflowError, RecursionError) as e:
        raise errors.UserError('contradicts itself: %s' % (
            ' '.join(str(e).split()) or type(e).__name__)) from e
    return net


def _refuse(word):
    raise ValueError('%s is no JSON' % word)


def _array(data, dtype, shape, offset):
    kind = numpy.dtype(_DTYPES[dtype]).newbyteorder('<')
    n = math.prod(validation.whole(v, 0, 1 << 40) for v in shape)
    validation.whole(offset, 0, len(data))
    if offset + n * kind.itemsize > len(data):
        raise ValueError('an array ends behind the file')
    if dtype == '|b1' and n and numpy.frombuffer(
            data, numpy.uint8, n, offset).max() > 1:
        raise ValueError('a truth value is neither 0 nor 1')
    # Of the machine's byte order, and nobody can write to it
    array = numpy.frombuffer(data, kind, n, offset).astype(
        _DTYPES[dtype]).reshape(shape)
    array.flags.writeable = False
    return array


def _thing(entry, arrays):
    """Makes a stage or an operation of its fields."""
    entry = dict(entry)
    if 'stage' in entry:
        kind = STAGES[entry.pop('stage')]
    else:
        kind = OPERATIONS[entry.pop('operation')]
    for name, value in entry.items():
        if name == 'weights':
            value = packed.PackedWeights(**{
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
