"""A module like CuPy on NumPy arrays, whose kernels run on the CPU.

It is as strict as CuPy where a mistake would show on a GPU only: NumPy arrays
do not mix with its own, an elementwise kernel takes its types from arrays, a
raw one takes numbers of just the size that it declares.  What would wait for
the GPU, but for ``get()``, is an error; new memory holds rubbish, and what
lies around it is watched.  It has the functions of CuPy that the project
uses, no more.
"""
import functools
import sys
import types

import numpy

from cuda_emulation import compiling

_GUARD = 512
_RUBBISH = 0xa5
_HEADER = '#include "elementwise.h"\n'
_TYPES = {'float16': 'float16', 'float32': 'float', 'float64': 'double',
          'int8': 'signed char', 'uint8': 'unsigned char', 'int32': 'int',
          'uint32': 'unsigned int', 'int64': 'long long'}

recorded = None  # a list: sources are put there in place of being run
n_copies = 0  # from and to the host


class ndarray(numpy.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801
    """As cupy.ndarray."""

    __module__ = 'cupy'

    def __init__(self, array, memory=None):
        self._array, self._memory = array, memory

    def __getattr__(self, name):
        if name in ('dtype', 'shape', 'ndim', 'size', 'itemsize', 'nbytes',
                    'flags', 'strides'):
            return getattr(self._array, name)
        if name in ('reshape', 'astype', 'copy', 'dot', 'sum', 'mean', 'view',
                    'transpose', 'ravel', 'max', 'argmax', 'fill'):
            return _wrapped(getattr(self._array, name), self._memory)
        raise AttributeError(name)

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self._array.ctypes.data)

    @property
    def T(self):  # noqa: N802
        return ndarray(self._array.T, self._memory)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        return _wrap(self._array[_unwrap(key)], self._memory)

    def __setitem__(self, key, value):
        self._array[_unwrap(key)] = _unwrap(value)

    def get(self):
        global n_copies
        n_copies += 1
        return self._array.copy()

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is not None:
            kwargs['out'] = _unwrap(out)
        result = getattr(ufunc, method)(*_unwrap(inputs), **kwargs)
        return _wrap(result) if out is None else out[0]

    def __array_function__(self, function, kinds, args, kwargs):
        module = sys.modules[__name__]
        path = function.__module__.split('.')[1:]
        try:
            found = getattr(functools.reduce(getattr, path, module),
                            function.__name__)
        except AttributeError:
            return NotImplemented
        return found(*args, **kwargs)

    def _waits(self, *args, **kwargs):
        raise AssertionError('this waits for the GPU')

    __bool__ = __int__ = __float__ = __index__ = item = tolist = _waits

    def __array__(self, *args, **kwargs):
        raise TypeError('implicit conversion to a NumPy array')


def _unwrap(x):
    if isinstance(x, ndarray):
        return x._array
    if isinstance(x, numpy.ndarray):
        raise TypeError('Unsupported type %s' % type(x))
    if isinstance(x, (tuple, list)):
        return type(x)(map(_unwrap, x))
    return x


def _wrap(x, memory=None):
    if isinstance(x, (numpy.ndarray, numpy.generic)):
        return ndarray(numpy.asarray(x), memory)
    if isinstance(x, (tuple, list)):
        return type(x)(_wrap(one) for one in x)
    return x


def _wrapped(function, memory=None):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return _wrap(function(*_unwrap(args), **{
            name: _unwrap(value) for name, value in kwargs.items()}), memory)
    return call


for _name in ('zeros', 'zeros_like', 'ones_like', 'where', 'concatenate',
              'moveaxis', 'split', 'pad', 'tensordot', 'clip', 'maximum'):
    globals()[_name] = _wrapped(getattr(numpy, _name))
lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(
    sliding_window_view=_wrapped(
        numpy.lib.stride_tricks.sliding_window_view)))


def empty(shape, dtype=float):
    """Aligned as CuPy's memory is, with a guard before and behind it."""
    dtype = numpy.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else shape
    n = dtype.itemsize * int(numpy.prod(shape))
    whole = numpy.full(n + 3 * _GUARD, _RUBBISH, numpy.uint8)
    start = _GUARD + -whole.ctypes.data % _GUARD
    memory = whole[start - _GUARD:start + n + _GUARD]
    return ndarray(memory[_GUARD:_GUARD + n].view(dtype).reshape(shape),
                   memory)


def empty_like(x, shape=None):
    return empty(x.shape if shape is None else shape, x.dtype)


def asarray(x, dtype=None):
    global n_copies
    if isinstance(x, ndarray):
        return x if dtype in (None, x.dtype) else x.astype(dtype)
    n_copies += 1
    x = numpy.asarray(x, dtype)
    result = empty(x.shape, x.dtype)
    result._array[...] = x
    return result


def ascontiguousarray(x):
    if not isinstance(x, ndarray):
        return asarray(x)
    if x.flags.c_contiguous:
        return x
    result = empty_like(x)
    result._array[...] = x._array
    return result


def memoize(for_each_device=False):
    return functools.lru_cache(None)


class _Device(object):
    compute_capability = '90'
    id = 0


class _Event(object):

    def record(self):
        pass

    synchronize = record


cuda = types.SimpleNamespace(
    Device=_Device, Event=_Event, get_elapsed_time=lambda start, end: 1.,
    runtime=types.SimpleNamespace(getDeviceCount=lambda: 1))


def _run(source, name, grid, block, args):
    if recorded is not None:
        recorded.append(source)
        return
    compiling.launch(source, name, grid, block, [
        _unwrap(one) for one in args])
    _check_guards(name, args)


def _check_guards(name, args):
    for one in args:
        memory = getattr(one, '_memory', None)
        if memory is not None:
            assert (memory[:_GUARD] == _RUBBISH).all(), (
                '%s writes before an array' % name)
            assert (memory[-_GUARD:] == _RUBBISH).all(), (
                '%s writes behind an array' % name)


class RawKernel(object):
    """As cupy.RawKernel."""

    def __init__(self, code, name, options=()):
        assert isinstance(options, tuple)
        assert name in compiling.kernels_of(code)
        self._code, self._name = code, name

    def __call__(self, grid, block, args):
        assert isinstance(grid, tuple) and isinstance(block, tuple)
        for one in args:
            assert not isinstance(one, ndarray) or one.flags.c_contiguous
        _run(self._code, self._name, grid, block, args)


class ElementwiseKernel(object):
    """As cupy.ElementwiseKernel."""

    def __init__(self, in_params, out_params, operation, name):
        self.params = [(words[-2], words[-1], 'raw' in words[:-2])
                       for words in map(str.split, ','.join(
                           [in_params, out_params]).split(','))]
        self.n_in = in_params.count(',') + 1
        self.operation, self.name = operation, name
        assert 'i' not in [one[1] for one in self.params]

    def source(self, dtypes, arrays):
        """Returns the code for types of T, U ... and for what is an array."""
        names = {kind: _TYPES[numpy.dtype(dtypes.get(kind, kind)).name]
                 for kind, _, _ in self.params}
        declared, loads = [], []
        for i, (kind, name, raw) in enumerate(self.params):
            const = 'const ' if i < self.n_in else ''
            if name not in arrays:
                declared.append('const %s %s' % (names[kind], name))
                continue
            declared.append('const CArray<%s%s> %s%s' % (
                const, names[kind], '' if raw else '_raw_', name))
            if not raw:
                loads.append('%s%s &%s = _raw_%s[_ind.get()];' % (
                    const, names[kind], name, name))
        return _HEADER + '%s\nextern "C" __global__ void %s(%s) {\n' % (
            '\n'.join('typedef %s %s;' % (names[kind], kind)
                      for kind in dtypes), self.name, ', '.join(
                          [*declared, 'CIndexer _ind'])) + (
            'CUPY_FOR(i, _ind.size()) {\n_ind.set(i);\n%s\n%s;\n}\n}\n' % (
                '\n'.join(loads), self.operation))

    def __call__(self, *args, size=None):
        assert len(args) in (self.n_in, len(self.params)), self.name
        dtypes, shapes = {}, []
        # As CuPy: the results decide first.
        for (kind, name, raw), one in sorted(
                zip(self.params, args),  # noqa: B905
                key=lambda pair: self.params.index(pair[0]) < self.n_in):
            if isinstance(one, ndarray):
                if len(kind) == 1:
                    assert dtypes.setdefault(kind, one.dtype) == one.dtype, (
                        'types of %s: %s' % (self.name, name))
                else:
                    assert one.dtype == kind, (self.name, name)
                if not raw:
                    shapes.append(one.shape)
            else:
                assert isinstance(one, (int, float, numpy.generic)), type(one)
                assert self.params.index((kind, name, raw)) < self.n_in
        assert (size is None) == bool(shapes), 'the size is undecided'
        shape = numpy.broadcast_shapes(*shapes) if shapes else (size,)
        types_of = [numpy.dtype(dtypes.get(kind, kind))
                    for kind, _, _ in self.params]
        args = [*args, *(empty(shape, dtype)
                         for dtype in types_of[len(args):])]
        results = args[self.n_in:]
        for (_, _, raw), one in zip(
                self.params[self.n_in:], results, strict=True):
            assert raw or one.shape == shape, 'a result would be broadcast'
        if 0 not in shape:
            self._launch(args, dtypes, types_of, shape)
        return results[0] if len(results) == 1 else tuple(results)

    def _launch(self, args, dtypes, types_of, shape):
        values = []
        for (_, _, raw), one, dtype in zip(
                self.params, args, types_of, strict=True):
            if isinstance(one, ndarray):
                x = one._array if raw else numpy.broadcast_to(
                    one._array, shape)
                x = compiling.Array(
                    x.ctypes.data, x.ndim, (*x.shape, *[1] * (8 - x.ndim)),
                    (*x.strides, *[0] * (8 - x.ndim)))
            else:
                x = dtype.type(one)
                if dtype == numpy.float16:
                    x = x.view(numpy.uint16)  # a class in C++
            values.append(x)
        values.append(compiling.Indexer(int(numpy.prod(shape)), 0))
        source = self.source(dtypes, {name for (_, name, _), one in zip(
            self.params, args, strict=True) if isinstance(one, ndarray)})
        _run(source, self.name, (1,), (1,), values)
        _check_guards(self.name, args)
