"""Runs kernels in CUDA C on the CPU, thread after thread, through g++.

The threads of a block are coroutines that hand over at each barrier, so that
``__syncthreads`` means what it means on a GPU.  Blocks run one after another:
what depends on blocks that run at once is not tested by this.
"""
import ctypes
import functools
import hashlib
import re
import shutil
import subprocess

import numpy

_SHIM = r'''
#include <cmath>
#include <cstddef>
#include <ucontext.h>
#define __global__
#define __device__ static
#define __shared__ static
using std::sqrt; using std::pow; using std::exp; using std::log;
struct Index { unsigned int x; };
static Index threadIdx, blockIdx, blockDim, gridDim;
static ucontext_t scheduler, fibers[1024];
static char stacks[1024][32768];
static bool is_done[1024];
static void (*body)();
static void __syncthreads() {
    swapcontext(&fibers[threadIdx.x], &scheduler);
}
static void __threadfence() {}
static unsigned int atomicAdd(unsigned int *p, unsigned int n) {
    unsigned int old = *p; *p += n; return old;
}
static void fiber() { body(); is_done[threadIdx.x] = true; }
static void run(unsigned int n_blocks, unsigned int n_threads) {
    gridDim.x = n_blocks; blockDim.x = n_threads;
#ifndef HAS_BARRIERS
    for (blockIdx.x = 0; blockIdx.x < n_blocks; ++blockIdx.x) {
        for (threadIdx.x = 0; threadIdx.x < n_threads; ++threadIdx.x) {
            body();
        }
    }
    return;
#endif
    for (unsigned int b = 0; b < n_blocks; ++b) {
        blockIdx.x = b;
        for (unsigned int i = 0; i < n_threads; ++i) {
            getcontext(&fibers[i]);
            fibers[i].uc_stack.ss_sp = stacks[i];
            fibers[i].uc_stack.ss_size = sizeof stacks[i];
            fibers[i].uc_link = &scheduler;
            makecontext(&fibers[i], fiber, 0);
            is_done[i] = false;
        }
        for (bool any = true; any;) {
            any = false;
            for (unsigned int i = 0; i < n_threads; ++i) {
                if (!is_done[i]) {
                    threadIdx.x = i;
                    swapcontext(&scheduler, &fibers[i]);
                    any = true;
                }
            }
        }
    }
}
'''
_TYPES = {
    'long long': ctypes.c_longlong, 'unsigned long long': ctypes.c_ulonglong,
    'int': ctypes.c_int, 'unsigned int': ctypes.c_uint,
    'float': ctypes.c_float, 'double': ctypes.c_double}


def unavailable():
    """Returns why there is no emulation, or ``None``."""
    return None if shutil.which('g++') else 'no g++'


class Emulator(object):

    """Takes the place of :func:`bnn.kernels.gpu_launch.launch`.

    Args:
        folder (pathlib.Path): For what is compiled.

    Attributes:
        launches (list of str): Names of the kernels that ran.
    """

    def __init__(self, folder):
        self._folder = folder
        self._compile = functools.lru_cache(maxsize=None)(self._compile)
        self.launches = []

    def __call__(self, source, name, n_blocks, n_threads, *args):
        library, parameters = self._compile(source)
        types = parameters[name]
        assert len(args) == len(types), name
        assert 0 < n_threads <= 1024 and n_blocks > 0, name
        values = []
        for value, type_ in zip(args, types, strict=True):
            if type_ is ctypes.c_void_p:
                assert isinstance(value, numpy.ndarray), name
                values.append(ctypes.c_void_p(value.ctypes.data))
            else:
                # CuPy hands a scalar over in the size that it has.
                assert isinstance(value, numpy.generic), (name, value)
                assert value.dtype == numpy.dtype(type_), (name, value.dtype)
                values.append(type_(value.item()))
        getattr(library, 'run_' + name)(n_blocks, n_threads, *values)
        self.launches.append(name)

    def _compile(self, source):
        stem = self._folder / hashlib.md5(source.encode()).hexdigest()
        path = stem.with_suffix('.cpp')
        path.write_text(_SHIM + source)
        expanded = subprocess.run(
            ['g++', '-E', '-P', path], check=True, capture_output=True,
            text=True).stdout
        # The macro __global__ is gone there.
        found = re.findall(
            r'extern "C" void (\w+)\(([^)]*)\)\s*{', expanded)
        wrappers, parameters = [], {}
        for name, text in found:
            words = [' '.join(one.split()) for one in text.split(',')]
            names = [re.search(r'\w+$', one)[0] for one in words]
            parameters[name] = [
                ctypes.c_void_p if '*' in one else
                _TYPES[one.rsplit(' ', 1)[0].removeprefix('const ')]
                for one in words]
            wrappers.append(
                'static struct { %s; } args_%s;\n'
                'extern "C" void run_%s(unsigned int n_blocks, unsigned int '
                'n_threads, %s) {\n args_%s = {%s};\n'
                ' body = [] { auto &a = args_%s; %s(%s); };\n'
                ' run(n_blocks, n_threads);\n}\n' % (
                    '; '.join(words), name, name, ', '.join(words), name,
                    ', '.join(names), name, name,
                    ', '.join('a.' + one for one in names)))
        shim = '#define HAS_BARRIERS\n' * ('__syncthreads' in source) + _SHIM
        path.write_text(shim + source + ''.join(wrappers))
        subprocess.run(
            ['g++', '-std=c++17', '-O1', '-ffp-contract=off', '-w', '-shared',
             '-fPIC', '-Wl,-Bsymbolic', path, '-o',
             stem.with_suffix('.so')], check=True)
        return ctypes.CDLL(str(stem.with_suffix('.so'))), parameters
