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

GUARD = 512  # bytes
RUBBISH = 0xa5

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
        return _wrap(self._array[unwrap(key)], self._memory)

    def __setitem__(self, key, value):
        self._array[unwrap(key)] = unwrap(value)

    def get(self):
        global n_copies
        n_copies += 1
        return self._array.copy()

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is not None:
            kwargs['out'] = unwrap(out)
        result = getattr(ufunc, method)(*unwrap(inputs), **kwargs)
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


def unwrap(x):
    if isinstance(x, ndarray):
        return x._array
    if isinstance(x, numpy.ndarray):
        raise TypeError('Unsupported type %s' % type(x))
    if isinstance(x, (tuple, list)):
        return type(x)(map(unwrap, x))
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
        return _wrap(function(*unwrap(args), **{
            name: unwrap(value) for name, value in kwargs.items()}), memory)
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
    whole = numpy.full(n + 3 * GUARD, RUBBISH, numpy.uint8)
    start = GUARD + -whole.ctypes.data % GUARD
    memory = whole[start - GUARD:start + n + GUARD]
    return ndarray(memory[GUARD:GUARD + n].view(dtype).reshape(shape),
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


# They need what stands above.
from cuda_emulation.fake_kernels import ElementwiseKernel  # noqa: E402, F401
from cuda_emulation.fake_kernels import RawKernel  # noqa: E402, F401
