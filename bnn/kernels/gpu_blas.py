"""Matrix products that a CUDA graph can be captured of.

CuPy refuses every call of cuBLAS on a stream that is captured ("calling
cuBLAS API during stream capture is currently unsupported", 13 and 14), since
it has not tested which are safe.  The plain product is, with a workspace of
its own (cuBLAS manual, "CUDA Graphs support"): so it is called here through
the library that CuPy has loaded, on a handle of its own.
"""
import contextlib
import ctypes
import os

import numpy

from bnn.kernels import gpu_launch

# What NVIDIA recommends for Hopper; older ones need less.
_WORKSPACE = 32 * 2 ** 20
_TF32 = 3  # CUBLAS_TF32_TENSOR_OP_MATH
_NO, _TRANSPOSED = 0, 1
_REALS = {'f': ('cublasSgemm_v2', ctypes.c_float),
          'd': ('cublasDgemm_v2', ctypes.c_double)}


class Blas(object):

    """cuBLAS for one stream, whose products may be captured.

    Args:
        stream (cupy.cuda.Stream): The stream.

    Raises:
        RuntimeError: If cuBLAS cannot be had.
    """

    def __init__(self, stream):
        import cupy

        # CuPy's extension module: symbols are looked for in what it is
        # linked against, too.
        from cupy_backends.cuda.libs import cublas
        try:
            self._library = ctypes.CDLL(cublas.__file__)
            self._library.cublasSgemm_v2  # noqa: B018
        except (OSError, AttributeError) as e:
            raise RuntimeError('cuBLAS is not found: %s' % e) from e
        self._handle = ctypes.c_void_p()
        self._call('cublasCreate_v2', ctypes.byref(self._handle))
        # The workspace after the stream, which would reset it
        self._call('cublasSetStream_v2', self._handle,
                   ctypes.c_void_p(stream.ptr))
        self._workspace = cupy.cuda.alloc(_WORKSPACE)
        self._call('cublasSetWorkspace_v2', self._handle,
                   ctypes.c_void_p(self._workspace.ptr),
                   ctypes.c_size_t(_WORKSPACE))
        if os.environ.get('CUPY_TF32', '0') not in ('', '0'):
            self._call('cublasSetMathMode', self._handle, _TF32)

    def gemm(self, a, b, out):
        """Queues ``out = a b``, see :func:`product`."""
        name, real = _REALS[out.dtype.char]
        ops, sizes, (ldb, lda), (a, b) = arrange(a, b)
        self._call(
            name, self._handle, *ops, *sizes, ctypes.byref(real(1)),
            _pointer(b), ldb, _pointer(a), lda, ctypes.byref(real(0)),
            _pointer(out), sizes[0])

    def _call(self, name, *args):
        status = getattr(self._library, name)(*args)
        if status:
            raise RuntimeError('%s: status %d' % (name, status))


def _pointer(array):
    return ctypes.c_void_p(gpu_launch.address(array))


def arrange(a, b):
    """Arranges a product of rows for a library of columns.

    A matrix of rows is the transposed one of columns, so that the product is
    :math:`(ab)^T = b^T a^T` there.

    Args:
        a (array): (m, k).
        b (array): (k, n).

    Returns:
        tuple: The operations on ``b`` and ``a``; n, m and k; the leading
        dimensions of ``b`` and ``a``; ``a`` and ``b``, copied where they
        were neither rows nor columns.
    """
    (a, op_a, lda), (b, op_b, ldb) = map(_operand, (a, b))
    return ((op_b, op_a), (b.shape[1], *a.shape), (ldb, lda), (a, b))


def _operand(x):
    if x.flags.f_contiguous and not x.flags.c_contiguous:
        return x, _TRANSPOSED, max(1, x.shape[0])
    return (gpu_launch.array_module(x).ascontiguousarray(x), _NO,
            max(1, x.shape[1]))


def _is_ours(a, b):
    return (getattr(a, 'ndim', 0) == 2 == getattr(b, 'ndim', 0)
            and a.dtype == b.dtype and a.dtype.char in _REALS
            and a.shape[1] == b.shape[0])


def product(gemm, a, b, out=None):
    """Multiplies two matrices of one dtype, float32 or 64.

    Args:
        gemm (callable): As :meth:`Blas.gemm`; its ``out`` is C-contiguous.
        a (array): (m, k).
        b (array): (k, n).
        out (array or None): (m, n).

    Returns:
        array: (m, n).
    """
    y = out
    if y is None or not y.flags.c_contiguous or y.dtype != a.dtype:
        y = gpu_launch.array_module(a).empty(
            (a.shape[0], b.shape[1]), a.dtype)
    if y.size:
        if a.shape[1]:
            gemm(a, b, y)
        else:
            y[...] = 0
    if out is None or y is out:
        return y
    out[...] = y
    return out


def tensor_product(gemm, a, b, axes=2):
    """:func:`numpy.tensordot`, by :func:`product`."""
    if isinstance(axes, int):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    ours, theirs = (
        [axis % x.ndim for axis in numpy.atleast_1d(numpy.array(one, int))]
        for x, one in zip((a, b), axes, strict=True))
    free_a, free_b = ([axis for axis in range(x.ndim) if axis not in summed]
                      for x, summed in ((a, ours), (b, theirs)))
    shape = [*(a.shape[i] for i in free_a), *(b.shape[i] for i in free_b)]
    k = int(numpy.prod([a.shape[i] for i in ours], dtype=int))
    a = a.transpose(*free_a, *ours).reshape(a.size // max(k, 1), k)
    b = b.transpose(*theirs, *free_b).reshape(k, b.size // max(k, 1))
    return product(gemm, a, b).reshape(shape)


@contextlib.contextmanager
def captured_products(gemm, cupy):
    """Lets CuPy's products of matrices go to a library that is captured.

    Those of other dtypes and dimensions stay CuPy's, which refuses them.

    Args:
        gemm (callable): As :meth:`Blas.gemm`.
        cupy: The module; its ``dot``, ``matmul`` and ``tensordot`` and the
            methods of its arrays are others in this context.
    """
    array = cupy.ndarray
    their_dot, their_matmul = array.dot, array.__matmul__
    theirs = {name: getattr(cupy, name)
              for name in ('dot', 'matmul', 'tensordot')}

    def method(other):
        def multiply(a, b, out=None):
            if _is_ours(a, b):
                return product(gemm, a, b, out)
            return other(a, b) if out is None else other(a, b, out)
        return multiply

    def tensordot(a, b, axes=2):
        if a.dtype == b.dtype and a.dtype.char in _REALS:
            return tensor_product(gemm, a, b, axes)
        return theirs['tensordot'](a, b, axes)

    own = {name: vars(array)[name] for name in ('dot', '__matmul__')
           if name in vars(array)}
    try:
        array.dot = method(their_dot)
        array.__matmul__ = method(their_matmul)
        cupy.dot, cupy.matmul = (
            method(theirs[name]) for name in ('dot', 'matmul'))
        cupy.tensordot = tensordot
        yield
    finally:
        for name, value in theirs.items():
            setattr(cupy, name, value)
        for name in ('dot', '__matmul__'):
            if name in own:
                setattr(array, name, own[name])
            elif name in vars(array):
                delattr(array, name)
