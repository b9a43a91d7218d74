"""CUDA sources as functions of the CPU: g++ and emulation.h."""
import atexit
import ctypes
import functools
import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile

import numpy

HERE = pathlib.Path(__file__).parent
COMPILER = shutil.which('g++')
_FLAGS = ['-std=c++17', '-O1', '-fPIC', '-shared', '-ffp-contract=off',
          '-fno-strict-aliasing', '-U_FORTIFY_SOURCE', '-w', '-I', str(HERE)]
_KERNEL = re.compile(
    r'__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(')
_MMA = re.compile(
    r'asm volatile\(\s*"mma\.sync\.aligned\.m16n8k32\.row\.col\.s32\.(u8|s8)'
    r'\.s8\.s32 [^:]*"((?:\s*:[^;]*)+)\);')
_OPERAND = re.compile(r'"\+?r"\(([^()]*)\)')


def kernels_of(source):
    """Returns the names of the kernels in a source."""
    return _KERNEL.findall(source)


@functools.lru_cache(None)
def _folder():
    folder = tempfile.mkdtemp(prefix='cuda-emulation-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.lru_cache(None)
def library(source):
    """Compiles a source, once, and loads it.

    Args:
        source (str): CUDA C++.

    Returns:
        ctypes.CDLL: For each kernel ``launch_NAME(sizes, arguments)`` and
        ``kinds_NAME(result)``, see emulation.h.
    """
    names = kernels_of(source)
    source = '#include "emulation.h"\n' + _MMA.sub(_call_of_mma, source)
    for name in names:
        source += '''
extern "C" int launch_%(name)s(const unsigned *size, void **arguments) {
    return emulation::launch(&%(name)s, size, arguments);
}
extern "C" int kinds_%(name)s(int *result) {
    return emulation::kinds(&%(name)s, result);
}
''' % {'name': name}
    path = pathlib.Path(_folder(), hashlib.sha256(
        source.encode()).hexdigest()[:16])
    path.with_suffix('.cpp').write_text(source)
    done = subprocess.run(
        [COMPILER, *_FLAGS, '-o', path.with_suffix('.so'),
         path.with_suffix('.cpp')], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return ctypes.CDLL(str(path.with_suffix('.so')))


def _call_of_mma(match):
    operands = _OPERAND.findall(match.group(2))
    assert len(operands) == 10, match.group()  # four of C, four of A, two of B
    return 'emulation::mma<%s>(%s);' % (
        {'u8': 'uint8_t', 's8': 'int8_t'}[match.group(1)],
        ', '.join(operands))


class Array(ctypes.Structure):
    """The struct CArray of elementwise.h."""

    _fields_ = [('data', ctypes.c_void_p), ('ndim', ctypes.c_ssize_t),
                ('shape', ctypes.c_ssize_t * 8),
                ('strides', ctypes.c_ssize_t * 8)]


class Indexer(ctypes.Structure):
    """The struct CIndexer."""

    _fields_ = [('size', ctypes.c_ssize_t), ('index', ctypes.c_ssize_t)]


def argument(value):
    """Returns what a kernel is given for an argument, and its kind.

    Args:
        value: A numpy.ndarray for its address, a NumPy or Python number, or
            one of the structs above.

    Returns:
        tuple: A ctypes object, and the kind of emulation.h.
    """
    if isinstance(value, numpy.ndarray):
        return ctypes.c_void_p(value.ctypes.data), 8 + 256
    if isinstance(value, ctypes.Structure):
        return value, ctypes.sizeof(value)
    if type(value) in (bool, int, float):  # as CuPy has it
        value = {bool: numpy.bool_, int: numpy.int64,
                 float: numpy.float64}[type(value)](value)
    assert isinstance(value, numpy.generic), type(value)
    buffer = (ctypes.c_char * value.itemsize).from_buffer_copy(
        value.tobytes())
    return buffer, value.itemsize + (512 if value.dtype.kind == 'f' else 0)


def launch(source, name, grid, block, values):
    """Runs a kernel.

    Args:
        source (str): CUDA C++.
        name (str): The kernel.
        grid, block (tuple of int): Up to three each.
        values (list): See :func:`argument`.
    """
    dll = library(source)
    buffers, kinds = zip(*map(argument, values), strict=True)
    expected = (ctypes.c_int * 64)()
    n = getattr(dll, 'kinds_' + name)(expected)
    assert list(kinds) == expected[:n], (
        '%s: sizes and kinds of arguments are %s, of parameters %s' % (
            name, list(kinds), expected[:n]))
    sizes = [*(*grid, 1, 1)[:3], *(*block, 1, 1)[:3]]
    assert all(isinstance(size, int) and size >= 1 for size in sizes), sizes
    assert sizes[0] < 1 << 31 and max(sizes[1:3]) < 1 << 16, sizes
    pointers = (ctypes.c_void_p * n)(*map(ctypes.addressof, buffers))
    status = getattr(dll, 'launch_' + name)(
        (ctypes.c_uint * 6)(*sizes), pointers)
    assert status != 1, '%s: a block of %s threads' % (name, block)
    assert status == 0, '%s: threads wait for others for ever' % name
