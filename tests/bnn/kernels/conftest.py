"""Where the arrays of a test are: the CPU, a stand-in for CUDA, a GPU."""
import ctypes
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import types
import unittest.mock

import numpy
import pytest

from bnn.kernels import elementwise
from tests.helpers import devices


class Device:
    """Sends arrays somewhere and fetches them."""

    name = 'cpu'
    dtypes = numpy.float16, numpy.float32, numpy.float64
    has_subnormals = True

    def send(self, x):
        return x

    def fetch(self, x):
        return x

    def call(self, function, *args, **kwargs):
        """Calls a function of NumPy arrays with arrays that are there."""
        return self.fetch(function(*(
            self.send(arg) if isinstance(arg, numpy.ndarray) else arg
            for arg in args), **kwargs))


class Cuda(Device):
    """A GPU, through CuPy, which counts subnormals as 0."""

    name = 'cuda'
    has_subnormals = False

    def send(self, x):
        import cupy
        return cupy.asarray(x)

    def fetch(self, x):
        return x.get()


class StandIn(Device):
    """The bodies of the CUDA kernels, compiled by g++ as loops."""

    name = 'stand-in'
    dtypes = numpy.float32, numpy.float64

    class Array:
        def __init__(self, array):
            self.array = array
            self.dtype, self.shape = array.dtype, array.shape

    def send(self, x):
        return self.Array(x)

    def fetch(self, x):
        return x.array


_C_TYPES = {'float32': ctypes.c_float, 'float64': ctypes.c_double,
            'uint32': ctypes.c_uint32}


class ElementwiseKernel:
    """What CuPy's class does for arrays of one shape, on the CPU."""

    folder = None

    def __init__(self, in_params, out_params, operation, name):
        self._params = [param.split() for param in (
            in_params + ', ' + out_params).split(', ')]
        self._n_in = in_params.count(',') + 1
        self._operation, self._name = operation, name
        self._functions = {}

    def __call__(self, *args):
        arrays = [arg for arg in args if isinstance(arg, StandIn.Array)]
        dtype, shape = arrays[0].dtype, arrays[0].shape
        assert all((a.dtype, a.shape) == (dtype, shape) for a in arrays)
        if len(args) == self._n_in:
            args += tuple(StandIn.Array(numpy.empty(shape, dtype))
                          for _ in self._params[self._n_in:])
        given, signature, body = [], [], []
        for (kind, name), arg in zip(self._params, args, strict=True):
            if isinstance(arg, StandIn.Array):
                assert kind == 'T'
                given.append(numpy.array(arg.array, order='C'))
                signature.append(f'T *{name}_')
                body.append(f'T &{name} = {name}_[i];')
            else:
                kind = dtype.name if kind == 'T' else kind
                given.append(_C_TYPES[kind](arg))
                signature.append(f'{kind} {name}')
        self._function(dtype, signature, body)(
            ctypes.c_long(arrays[0].array.size), *(
                ctypes.c_void_p(v.ctypes.data)
                if isinstance(v, numpy.ndarray) else v for v in given))
        for arg, value in zip(args[self._n_in:], given[self._n_in:],
                              strict=True):
            arg.array[...] = value
        return args[-1]

    def _function(self, dtype, signature, body):
        key = dtype.name, *signature
        if key not in self._functions:
            stem = self.folder / f'{self._name}_{dtype}'
            stem.with_suffix('.cpp').write_text(f'''
#include <cmath>
#include <cstdint>
using namespace std;
typedef float float32; typedef double float64; typedef uint32_t uint32;
typedef {dtype} T;
extern "C" void kernel(long size_, {', '.join(signature)}) {{
    for (long i = 0; i < size_; ++i) {{ {' '.join(body)} {self._operation}; }}
}}''')
            subprocess.run(
                ['g++', '-std=c++17', '-ffp-contract=off', '-shared', '-fPIC',
                 stem.with_suffix('.cpp'), '-o', stem.with_suffix('.so')],
                check=True)
            self._functions[key] = ctypes.CDLL(
                str(stem.with_suffix('.so'))).kernel
        return self._functions[key]


@pytest.fixture(scope='session')
def _compiled_gpu(tmp_path_factory):
    if shutil.which('g++') is None:
        pytest.skip('no g++ to compile the kernels with')
    ElementwiseKernel.folder = tmp_path_factory.mktemp('kernels')
    cupy = types.SimpleNamespace(
        ElementwiseKernel=ElementwiseKernel, ndarray=StandIn.Array)
    spec = importlib.util.spec_from_file_location(
        'compiled_gpu', pathlib.Path(elementwise.__file__).with_name('gpu.py'))
    module = importlib.util.module_from_spec(spec)
    with unittest.mock.patch.dict(sys.modules, {'cupy': cupy}):
        spec.loader.exec_module(module)
    return module


GPUS = [pytest.param('cuda', marks=pytest.mark.gpu)] if (
    devices.has_gpu()) else []


@pytest.fixture(params=['cpu', *GPUS])
def device(request):
    """The CPU, and a GPU where there is one."""
    return Cuda() if request.param == 'cuda' else Device()


@pytest.fixture(params=['cpu', 'stand-in', *GPUS])
def elementwise_device(request, monkeypatch):
    """The same, and the GPU's elementwise kernels without a GPU."""
    if request.param == 'stand-in':
        module = request.getfixturevalue('_compiled_gpu')
        monkeypatch.setattr(elementwise, '_gpu', lambda: module)
        return StandIn()
    return Cuda() if request.param == 'cuda' else Device()
