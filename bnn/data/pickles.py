"""Pickles of dictionaries of lists and arrays, read without running them.

An unpickler calls what the file names. This one calls stand-ins, which build
integer arrays and nothing else, after a first pass has refused every opcode
that a batch does not need and every claim that its bytes do not bear out.
Source: ``pickletools`` of the standard library, and what NumPy writes from
version 1 on, in Python 2 and 3.
"""
import io
import math
import pickle
import pickletools
import re

import numpy

from bnn.data import errors

# A batch of 10000 has at most 100000 opcodes, and fewer than 50 tuples beside
# those of arguments
MAX_OPCODES = 1_000_000
MAX_TUPLES = 1000
_PUTS = {'PUT', 'BINPUT', 'LONG_BINPUT'}
_TUPLES = {'EMPTY_TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3', 'TUPLE'}
_OPCODES = _PUTS | _TUPLES | {
    'PROTO', 'FRAME', 'STOP', 'MARK', 'POP', 'POP_MARK', 'MEMOIZE', 'GET',
    'BINGET', 'LONG_BINGET', 'GLOBAL', 'STACK_GLOBAL', 'REDUCE', 'BUILD',
    'NONE', 'NEWTRUE', 'NEWFALSE', 'INT', 'BININT', 'BININT1', 'BININT2',
    'LONG', 'LONG1', 'STRING', 'BINSTRING', 'SHORT_BINSTRING', 'UNICODE',
    'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8', 'SHORT_BINBYTES',
    'BINBYTES', 'BINBYTES8', 'BYTEARRAY8', 'EMPTY_LIST', 'LIST', 'APPEND',
    'APPENDS', 'EMPTY_DICT', 'DICT', 'SETITEM', 'SETITEMS'}


def read(data):
    """Reads a pickled dictionary.

    Args:
        data (bytes): The file, any protocol.

    Returns:
        dict: Of str keys. Strings of Python 2 are bytes. An array of integers
        that is itself a value is a read-only numpy.ndarray, C-contiguous.

    Raises:
        CorruptError: It is no such pickle. The message gives the reason
            alone, for the caller to say of which file.

    """
    _check_opcodes(data)
    try:
        found = _Unpickler(data).load()
    except errors.CorruptError:
        raise
    except Exception as error:
        # Of a damaged pickle, any: so its documentation
        raise errors.CorruptError(
            f'corrupt pickle ({_reason(error)})') from None
    if type(found) is not dict:
        raise errors.CorruptError('it holds no dictionary')
    return {_key(key): _value(value) for key, value in found.items()}


def _check_opcodes(data):
    # What can go wrong in the unpickler itself: memory for a memo index or a
    # length out of nowhere, a crash in the hash of a tuple nested a million
    # times, hours in a dictionary of integers that share their hash
    if not data:
        raise errors.CorruptError('empty')
    stream = io.BytesIO(data)
    tuples = 0
    last = None
    frame = None
    try:
        for n, (opcode, arg, start) in enumerate(pickletools.genops(stream)):
            frame = _check_frame(frame, opcode, arg, start)
            if opcode.name not in _OPCODES:
                raise errors.CorruptError(
                    f'its pickle has the opcode {opcode.name}, which no batch '
                    'needs')
            tuples += opcode.name in _TUPLES
            # Arguments cannot nest: no stand-in takes a tuple of tuples
            tuples -= opcode.name == 'REDUCE' and last in _TUPLES
            if opcode.name not in _PUTS and opcode.name != 'MEMOIZE':
                last = opcode.name
            if (n >= MAX_OPCODES or tuples > MAX_TUPLES
                    or opcode.name in _PUTS and arg > n
                    or isinstance(arg, int) and abs(arg) >= 1 << 32):
                raise errors.CorruptError(
                    f'its pickle is not a batch (opcode {opcode.name})')
    except (ValueError, EOFError) as error:
        raise errors.CorruptError(
            f'truncated, or not a pickle ({_reason(error)})') from None
    _check_frame(frame, None, None, stream.tell())
    if stream.tell() < len(data):
        raise errors.CorruptError(
            f'data goes on after the {stream.tell()} bytes of the pickle')


def _check_frame(end, opcode, arg, start):
    # Where an opcode lies across the end of its frame, the unpickler in C
    # reads on at another place than genops, past all that was checked
    if end is not None and start >= end:
        if start > end:
            raise errors.CorruptError('truncated: a frame ends in an opcode')
        end = None
    if opcode is not None and opcode.name == 'FRAME':
        if end is not None:
            raise errors.CorruptError('corrupt pickle (a frame in a frame)')
        end = start + 9 + arg
    elif opcode is None and end is not None:
        raise errors.CorruptError('truncated: a frame is incomplete')
    return end


def _reason(error):
    # The text may quote the file
    return ' '.join(ascii(str(error)).split())[1:-1][:80] or 'no reason'


def _key(key):
    if isinstance(key, bytes):
        key = key.decode('latin1')
    if not isinstance(key, str):
        raise errors.CorruptError('its dictionary has keys that are no text')
    return key


def _value(value):
    if isinstance(value, _Array):
        if value.array is None:
            raise errors.CorruptError('it has an array without content')
        return value.array
    return value


class _Unpickler(pickle.Unpickler):

    def __init__(self, data):
        super().__init__(io.BytesIO(data), encoding='bytes')
        self._stand_ins = _stand_ins(_Budget(2 * len(data)))

    def find_class(self, module, name):
        found = self._stand_ins.get((module, name))
        if found is None:
            raise errors.CorruptError(
                f'its pickle asks for {ascii(module)[1:-1][:40]}.'
                f'{ascii(name)[1:-1][:40]}, which no batch needs')
        return found


class _Budget:
    """Bytes that may be built: a pickle can ask for the same ones often."""

    def __init__(self, size):
        self._left = size

    def spend(self, size):
        self._left -= size
        if self._left < 0:
            raise errors.CorruptError('its pickle builds more than it holds')


class _StandIn:
    """What a pickle gets for a name: to be called, not to be changed."""

    __slots__ = ('_call',)

    def __init__(self, call):
        self._call = call

    def __call__(self, *args):
        return self._call(*args)

    def __setstate__(self, state):
        raise errors.CorruptError('its pickle changes what it calls')


class _Dtype:
    """An integer type in the making: a name, then the byte order."""

    __slots__ = ('_name', 'dtype')

    def __init__(self, name):
        self._name = name
        self.dtype = None

    def __setstate__(self, state):
        if (type(state) is not tuple or len(state) != 8 or state[0] != 3
                or state[2:] != (None, None, None, -1, -1, 0)):
            raise errors.CorruptError('it has an array of an unknown type')
        order = _text(state[1])
        if order not in (('|',) if self._name.endswith('1') else ('<', '>')):
            raise errors.CorruptError('it has an array of unknown byte order')
        self.dtype = numpy.dtype(order + self._name)


class _Array:
    """An array in the making."""

    __slots__ = ('_budget', 'array')

    def __init__(self, budget):
        self._budget = budget
        self.array = None

    def __setstate__(self, state):
        if (type(state) is not tuple or len(state) != 5 or state[0] != 1
                or type(state[3]) not in (bool, int)):
            raise errors.CorruptError('it has an array of an unknown version')
        _, shape, dtype, fortran, data = state
        self.fill(data, dtype, shape, 'F' if fortran else 'C')

    def fill(self, data, dtype, shape, order):
        dtype = dtype.dtype if type(dtype) is _Dtype else None
        if dtype is None:
            raise errors.CorruptError('it has an array without a type')
        if (type(shape) is not tuple or not 1 <= len(shape) <= 4
                or any(type(n) is not int or n < 0 for n in shape)):
            raise errors.CorruptError('it has an array of impossible shape')
        if type(data) not in (bytes, bytearray):
            raise errors.CorruptError('it has an array of other than bytes')
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise errors.CorruptError(
                f'it has an array of shape {shape} in {len(data)} bytes')
        self._budget.spend(len(data))
        array = numpy.frombuffer(bytes(data), dtype)
        self.array = numpy.ascontiguousarray(array.reshape(shape, order=order))
        self.array.flags.writeable = False


def _text(value):
    return value.decode('latin1') if type(value) is bytes else value


def _stand_ins(budget):
    def make_dtype(name, align, copy):
        name = _text(name)
        if type(name) is not str or not re.fullmatch('[iu][1248]', name):
            raise errors.CorruptError('it has an array of other than integers')
        return _Dtype(name)

    def no_call(*args):
        raise errors.CorruptError('its pickle calls numpy.ndarray')

    def reconstruct(kind, shape, letter):
        if kind is not ndarray or shape != (0,) or _text(letter) != 'b':
            raise errors.CorruptError('it has an array of an unknown kind')
        return _Array(budget)

    def from_buffer(data, dtype, shape, order):
        order = _text(order)
        if order not in ('C', 'F'):
            raise errors.CorruptError('it has an array of unknown order')
        array = _Array(budget)
        array.fill(data, dtype, shape, order)
        return array

    def encode(text, encoding):
        if type(text) is not str or _text(encoding) != 'latin1':
            raise errors.CorruptError('it has bytes of an unknown encoding')
        budget.spend(len(text))
        return text.encode('latin1')

    ndarray = _StandIn(no_call)
    found = {
        ('numpy', 'ndarray'): ndarray,
        ('numpy', 'dtype'): _StandIn(make_dtype),
        # Python 3 writes bytes so in the protocols of Python 2
        ('_codecs', 'encode'): _StandIn(encode)}
    # NumPy 1 and 2
    for package in 'numpy.core', 'numpy._core':
        found[package + '.multiarray', '_reconstruct'] = _StandIn(reconstruct)
        # Protocol 5
        found[package + '.numeric', '_frombuffer'] = _StandIn(from_buffer)
    return found
