"""Pickled dictionaries of lists and arrays, read without running them.

An unpickler calls what the file names. The one here knows no name but those
that NumPy writes for an array, and answers them with classes that build
arrays of integers. It is ``pickle.Unpickler`` with ``find_class``, see
"Restricting Globals" in the documentation of ``pickle``.
"""
import io
import pickle
import pickletools
import re

import numpy

# A batch of 10000 images has at most 100000 opcodes. In protocol 2, Python 3
# writes a tuple for each name of a file.
MAX_OPCODES = 500_000
MAX_TUPLES = 20_000
_TUPLES = {'EMPTY_TUPLE', 'TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3'}
_FRAME_BYTES = 9


def read(data):
    """Reads a pickled dictionary.

    Args:
        data (bytes): The file, of any protocol.

    Returns:
        dict: Its keys are str. A string of Python 2 is bytes (see
        :func:`text`). An array of integers that is itself a value is a
        numpy.ndarray, which may be read-only.

    Raises:
        ValueError: It is no such pickle.
    """
    try:
        found = _Unpickler(_check(data)).load()
    except Exception as error:
        # Unpickling damaged data may raise anything. The text may quote it.
        reason = ' '.join(ascii(str(error)).split())[1:-1][:80]
        raise ValueError(f'not a pickled batch ({reason})') from None
    if type(found) is not dict:
        raise ValueError('it holds no dictionary')
    return {text(key): getattr(value, 'array', value)
            for key, value in found.items()}


def text(value):
    """Returns bytes of a Python 2 string as str, other values as they are."""
    return value.decode('latin1') if type(value) is bytes else value


def _check(data):
    # What would take the unpickler's memory or crash it: an index of the memo
    # out of nowhere, millions of objects, the hash of a tuple nested deeply.
    # The frames are cut out: where an opcode lies across a frame's end, the
    # unpickler goes on at another place than genops, past what was checked.
    parts, start, n_tuples, position = [], 0, 0, -1
    view = memoryview(data)
    for n, (opcode, arg, position) in enumerate(pickletools.genops(data)):
        n_tuples += opcode.name in _TUPLES
        if (n >= MAX_OPCODES or n_tuples > MAX_TUPLES
                or opcode.name.endswith('PUT') and arg > n):
            raise ValueError(f'too many objects at byte {position}')
        if opcode.name == 'FRAME':
            parts.append(view[start:position])
            start = position + _FRAME_BYTES
    if position + 1 < len(data):
        raise ValueError(f'data goes on after {position + 1} bytes')
    return b''.join([*parts, view[start:]]) if parts else data


class _Unpickler(pickle.Unpickler):

    def __init__(self, data):
        super().__init__(io.BytesIO(data), encoding='bytes')
        self._names = {**_NAMES, '_codecs.encode': _Encode(2 * len(data))}

    def find_class(self, module, name):
        if f'{module}.{name}' not in self._names:
            raise ValueError(f'{module}.{name} is no array')
        return self._names[f'{module}.{name}']


class _Encode:
    """Stands for _codecs.encode, with which Python 3 writes bytes for 2."""

    # With __setstate__ and without __dict__, a pickle cannot change what its
    # names stand for.
    __slots__ = ('_left',)
    __setstate__ = None

    def __init__(self, n_bytes):
        self._left = n_bytes

    def __call__(self, string, encoding):
        # A pickle can ask for the same bytes often.
        self._left -= len(string)
        if self._left < 0:
            raise ValueError('it builds more than it holds')
        return string.encode('latin1')


class _Dtype:
    """Stands for numpy.dtype: an integer type."""

    __slots__ = ('dtype',)

    def __init__(self, name, *_):
        if not re.fullmatch('[iu][1248]', text(name)):
            raise ValueError('an array of other than integers')
        self.dtype = numpy.dtype(text(name))

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(text(state[1]))


class _Array:
    """Stands for an array, which has its content now or from __setstate__."""

    __slots__ = ('array',)

    def __init__(self, *args):
        # _frombuffer has four arguments, _reconstruct three.
        self.array = _view(*args) if len(args) == 4 else None

    def __setstate__(self, state):
        _, shape, dtype, is_fortran, data = state
        self.array = _view(data, dtype, shape, 'F' if is_fortran else 'C')


def _view(data, dtype, shape, order):
    # No copy, so that an array takes the memory of its bytes alone
    return numpy.frombuffer(data, dtype.dtype).reshape(
        shape, order=text(order))


_NAMES = {
    'numpy.ndarray': _Array, 'numpy.dtype': _Dtype,
    # NumPy 1 and 2; _frombuffer is of protocol 5
    'numpy.core.multiarray._reconstruct': _Array,
    'numpy._core.multiarray._reconstruct': _Array,
    'numpy.core.numeric._frombuffer': _Array,
    'numpy._core.numeric._frombuffer': _Array}
