"""Compiles the CUDA C++ of this package, in ``cuda/``, with CuPy."""
import functools
import pathlib

import cupy

_FOLDER = pathlib.Path(__file__).with_name('cuda')
# Of float16 the kernels take the bits: no header is needed.
_TYPES = {'e': 'unsigned short', 'f': 'float', 'd': 'double'}


@functools.lru_cache(None)
def kernel(file, name, dtype=None, **constants):
    """Returns a kernel, which CuPy compiles when it is first called.

    A product and a sum are rounded one after the other, as in NumPy, not
    together: the sign of a normalized value must be that of the value.

    Args:
        file (str): Name of the file.
        name (str): Name of the function.
        dtype (str): Character of the floating point type that is ``T`` there.
        constants (int): What else is defined for it.

    Returns:
        cupy.RawKernel: The kernel.
    """
    lines = ['const int %s = %d;\n' % item for item in constants.items()]
    if dtype is not None:
        lines.append('typedef %s T;\n' % _TYPES[dtype])
    return cupy.RawKernel(
        ''.join(lines) + (_FOLDER / file).read_text('utf-8'), name,
        ('--fmad=false',))
