"""Products for a library of columns, with one written in NumPy."""
import types

import numpy
import pytest

from bnn.kernels import gpu_blas


def gemm(a, b, out):
    """What cuBLAS does with the numbers it gets: matrices of columns."""
    (op_b, op_a), (n, m, k), (ldb, lda), (a, b) = gpu_blas.arrange(a, b)
    assert out.flags.c_contiguous and out.shape == (m, n)

    def columns(x, op, ld, rows, n_columns):
        if op:
            rows, n_columns = n_columns, rows
        assert ld >= rows
        flat = numpy.lib.stride_tricks.as_strided(
            x, (rows, n_columns), (x.itemsize, ld * x.itemsize))
        return flat.T if op else flat

    assert a.size == m * k and b.size == k * n
    out.T[...] = columns(b, op_b, ldb, n, k) @ columns(a, op_a, lda, k, m)


VIEWS = {'rows': lambda x: x,
         'columns': lambda x: numpy.asfortranarray(x),
         'neither': lambda x: numpy.repeat(x, 2, axis=1)[:, ::2]}


@pytest.mark.parametrize('view_b', VIEWS)
@pytest.mark.parametrize('view_a', VIEWS)
@pytest.mark.parametrize('m, k, n', [
    (3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1), (0, 4, 5),
    (3, 0, 5), (3, 4, 0)])
def test_product(m, k, n, view_a, view_b):
    for dtype in 'fd':
        a = VIEWS[view_a](numpy.random.randn(m, k).astype(dtype))
        b = VIEWS[view_b](numpy.random.randn(k, n).astype(dtype))
        y = gpu_blas.product(gemm, a, b)
        assert y.dtype == dtype
        numpy.testing.assert_allclose(y, a @ b, rtol=1e-4, atol=1e-5)
        for out in numpy.empty((m, n), dtype), numpy.empty((n, m), dtype).T:
            assert gpu_blas.product(gemm, a, b, out) is out
            numpy.testing.assert_allclose(out, a @ b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('axes', [1, 2, ((1, 2), (2, 1)), ((-1,), (1,)), 0,
                                  (2, 1)])
def test_tensor_product(axes):
    a, b = numpy.random.randn(2, 3, 4), numpy.random.randn(3, 4, 3)
    if axes == 1:
        b = numpy.random.randn(4, 2)
    numpy.testing.assert_allclose(
        gpu_blas.tensor_product(gemm, a, b, axes),
        numpy.tensordot(a, b, axes))


class Base(object):

    def __init__(self, array):
        self.array = array

    ndim = property(lambda self: self.array.ndim)
    dtype = property(lambda self: self.array.dtype)
    shape = property(lambda self: self.array.shape)

    def dot(self, b, out=None):
        raise NotImplementedError('as CuPy in a capture')

    def __matmul__(self, b):
        return self.dot(b)


def test_captured_products(monkeypatch):
    """CuPy's names, on a module that looks like it."""
    class Array(Base):
        pass

    def refuse(a, b, out=None):
        return a.dot(b, out)

    cupy = types.SimpleNamespace(
        ndarray=Array, dot=refuse, matmul=refuse, tensordot=refuse)
    before = dict(vars(cupy))
    calls = []
    monkeypatch.setattr(gpu_blas, 'product',
                        lambda gemm, a, b, out=None: calls.append(out))
    monkeypatch.setattr(gpu_blas, 'tensor_product',
                        lambda gemm, a, b, axes: calls.append(axes))
    a, b = (Array(numpy.zeros((3, 3), 'f')) for _ in range(2))
    of_ints = Array(numpy.zeros((3, 3), 'i'))
    with gpu_blas.captured_products(gemm, cupy):
        a.dot(b)
        a.dot(b, 1)
        a @ b
        cupy.dot(a, b, out=2)
        cupy.matmul(a, b)
        cupy.tensordot(a, b, 7)
        assert calls == [None, 1, None, 2, None, 7]
        with pytest.raises(NotImplementedError):
            of_ints.dot(b)
        with pytest.raises(NotImplementedError):
            of_ints @ b
    assert vars(cupy) == before
    assert not {'dot', '__matmul__'} & set(vars(Array))
    with pytest.raises(NotImplementedError):
        a @ b
