"""Packed signs on CuPy arrays; documented in :mod:`bnn.kernels`."""
import cupy
import numpy

from bnn.kernels import gpu_source

_WORDS = 8  # that a warp packs


def pack(x):
    x = cupy.ascontiguousarray(x)
    k = x.shape[-1]
    bits = cupy.empty((*x.shape[:-1], -(-k // 32)), numpy.uint32)
    if bits.size:
        kernel = gpu_source.kernel(
            'pack.cu', 'bnn_pack', x.dtype.char, WORDS=_WORDS)
        kernel(
            (-(-bits.size // (8 * _WORDS)),), (256,),
            (x, bits, numpy.int64(k), numpy.int64(bits.shape[-1]),
             numpy.int64(bits.size)))
    return bits


def xnor_product(a, b, k):
    a, b = map(cupy.ascontiguousarray, (a, b))
    y = cupy.empty((len(a), len(b)), numpy.float32)
    if y.size:
        gpu_source.kernel('xnor.cu', 'bnn_xnor_product')(
            (-(-len(a) // 64), -(-len(b) // 64)), (256,),
            (a, b, y, numpy.int64(len(a)), numpy.int64(len(b)),
             numpy.int32(a.shape[1]), numpy.int32(k)))
    return y
