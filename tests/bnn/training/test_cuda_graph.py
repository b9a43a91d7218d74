"""Captures: with a CuPy that is made up, and on a real GPU.

What is around them is in test_device_updater.
"""
import contextlib
import ctypes
import importlib
import sys
import types

import chainer
import numpy
import pytest
from chainer.backends import cuda

import bnn.training


class Blas(object):

    """cuBLAS, of which the products are computed from bare addresses."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*args):
            self.calls.append((name, args))
            return 0
        return call

    def cublasSgemm_v2(self, handle, op_a, op_b, m, n, k, alpha, a, lda, b,
                       ldb, beta, c, ldc):
        def matrix(pointer, ld, rows, columns):
            floats = (ctypes.c_float * (ld * columns)).from_address(
                pointer.value)
            return numpy.frombuffer(floats, 'f').reshape(columns, ld).T[:rows]

        assert alpha._obj.value == 1 and beta._obj.value == 0
        a = matrix(a, lda, k, m).T if op_a else matrix(a, lda, m, k)
        b = matrix(b, ldb, n, k).T if op_b else matrix(b, ldb, k, n)
        matrix(c, ldc, m, n)[...] = a @ b
        self.calls.append(('cublasSgemm_v2', ()))
        return 0


class Array(numpy.ndarray):

    """Refuses products, as CuPy does in a capture."""

    def dot(self, b, out=None):
        raise NotImplementedError

    def __matmul__(self, b):
        raise NotImplementedError

    def set(self, values):
        self[...] = values


class Stream(object):

    ptr = 12345
    log = None

    def __init__(self, non_blocking=False):
        assert non_blocking
        self.log = []

    def __enter__(self):
        self.log.append('enter')

    def __exit__(self, *_):
        self.log.append('exit')

    def begin_capture(self):
        self.log.append('begin')

    def end_capture(self):
        self.log.append('end')
        return types.SimpleNamespace(launch=lambda: 'launched')


@pytest.fixture
def cupy(monkeypatch):
    """The module, with what a capture needs of it."""
    class ndarray(Array):
        pass

    pinned = types.SimpleNamespace(malloc='pinned memory')
    cupy = types.ModuleType('cupy')
    cupy.allocators, cupy.pinned = [], []
    cupy.ndarray = ndarray
    cupy.empty = lambda shape, dtype: numpy.empty(shape, dtype).view(ndarray)
    cupy.asarray = lambda x: x.copy().view(ndarray)
    cupy.asnumpy = numpy.asarray
    cupy.dot = cupy.matmul = cupy.tensordot = None
    cupy.get_default_pinned_memory_pool = lambda: pinned

    @contextlib.contextmanager
    def using_allocator(allocator):
        cupy.allocators.append(allocator)
        yield

    cupy.cuda = types.SimpleNamespace(
        Stream=Stream, using_allocator=using_allocator,
        MemoryPool=lambda: types.SimpleNamespace(malloc='private memory'),
        alloc=lambda size: types.SimpleNamespace(ptr=67890),
        set_pinned_memory_allocator=cupy.pinned.append)
    libs = types.ModuleType('cupy_backends.cuda.libs')
    libs.cublas = types.SimpleNamespace(__file__='cublas.so')
    for name, module in {
            'cupy': cupy, 'cupy_backends': types.ModuleType('cupy_backends'),
            'cupy_backends.cuda': types.ModuleType('cupy_backends.cuda'),
            'cupy_backends.cuda.libs': libs}.items():
        monkeypatch.setitem(sys.modules, name, module)
    cupy.blas = Blas()
    monkeypatch.setattr(ctypes, 'CDLL', lambda path: cupy.blas)
    return cupy


@pytest.fixture
def make_capturer(cupy, monkeypatch):
    """Makes a capturer on that module."""
    # In the end it is as it was: with the real one, or not imported.
    name = 'bnn.training.cuda_graph'
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(bnn.training, 'cuda_graph', None, raising=False)
    del sys.modules[name]
    module = importlib.import_module(name)
    return lambda: module.Capturer(types.SimpleNamespace(
        device=types.SimpleNamespace(synchronize=lambda: None)))


@pytest.fixture
def made_up(make_capturer, cupy):
    """A capturer that has multiplied to see that it can."""
    capturer = make_capturer()
    assert cupy.blas.calls[-1][0] == 'cublasSgemm_v2'
    assert capturer._stream.log == ['enter', 'exit']
    capturer._stream.log.clear()
    cupy.allocators.clear()
    return capturer


def test_wrong_products_are_seen(make_capturer, cupy):
    cupy.blas.cublasSgemm_v2 = lambda *args: 0  # computes nothing
    with pytest.raises(RuntimeError, match='gives other products'):
        make_capturer()


def test_capture(made_up, cupy, monkeypatch):
    monkeypatch.setenv('CUPY_TF32', '1')
    a, b = (numpy.random.randn(*shape).astype('f').view(cupy.ndarray)
            for shape in [(3, 4), (5, 4)])
    results = []

    def compute():
        results[:] = [a.dot(b.T), a @ b.T, cupy.tensordot(
            a, b, ((1,), (1,)))]
        with pytest.raises(RuntimeError, match='array of the host'):
            a.set(0)
        with pytest.raises(RuntimeError, match='array of the host'):
            cupy.pinned[-1](100)

    assert made_up.capture(compute)() == 'launched'
    expected = numpy.asarray(a) @ numpy.asarray(b).T
    for y in results:
        numpy.testing.assert_allclose(y, expected, rtol=1e-5)
    assert made_up._stream.log == ['enter', 'begin', 'end', 'exit']
    assert cupy.allocators == ['private memory']
    assert cupy.pinned[-1] == 'pinned memory'
    a.set(1)
    assert a.sum() == 12
    with pytest.raises(NotImplementedError):
        a.dot(b.T)
    names = [name for name, _ in cupy.blas.calls]
    assert names[:3] == [
        'cublasCreate_v2', 'cublasSetStream_v2', 'cublasSetWorkspace_v2']
    (_, (_, stream)), (_, (_, workspace, size)) = cupy.blas.calls[1:3]
    assert (stream.value, workspace.value) == (12345, 67890)
    assert size.value == 2 ** 25


def test_capture_that_fails(made_up, cupy):
    def fail():
        raise ValueError('of the net')

    with pytest.raises(ValueError, match='of the net'):
        made_up.capture(fail)
    assert made_up._stream.log == ['enter', 'begin', 'end', 'exit']
    assert cupy.pinned[-1] == 'pinned memory'
    assert 'set' not in vars(cupy.ndarray)


def test_preparation_that_fails(made_up):
    """What was queued has ended when another stream goes on."""
    log = made_up._stream.log
    made_up._device.synchronize = lambda: log.append('synchronize')
    with pytest.raises(ValueError, match='of the net'), made_up.prepared():
        raise ValueError('of the net')
    assert log == ['synchronize', 'enter', 'exit', 'synchronize']


@pytest.mark.parametrize('value, calls', [('1', 1), ('0', 0), ('', 0)])
def test_tf32(value, calls, cupy, monkeypatch):
    from bnn.kernels import gpu_blas
    monkeypatch.setenv('CUPY_TF32', value)
    gpu_blas.Blas(Stream(True))
    assert [args[1] for name, args in cupy.blas.calls
            if name == 'cublasSetMathMode'] == [3] * calls


def test_cublas_that_cannot_be_had(cupy, monkeypatch):
    from bnn.kernels import gpu_blas
    monkeypatch.setattr(ctypes, 'CDLL', lambda path: object())
    with pytest.raises(RuntimeError, match='cuBLAS is not found'):
        gpu_blas.Blas(Stream(True))
    cupy.blas.cublasSetStream_v2 = lambda *args: 7
    monkeypatch.setattr(ctypes, 'CDLL', lambda path: cupy.blas)
    with pytest.raises(RuntimeError, match='cublasSetStream_v2: status 7'):
        gpu_blas.Blas(Stream(True))


@pytest.fixture
def capturer():
    from bnn.training import cuda_graph
    device = chainer.get_device('@cupy:0')
    device.use()
    return cuda_graph.Capturer(device)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', 'fd')
def test_products(dtype, capturer):
    cupy = cuda.cupy
    a, b, c = (cupy.asarray(numpy.random.randn(*shape).astype(dtype))
               for shape in [(30, 40), (50, 40), (30, 50)])
    results = []

    def compute():
        results[:] = [a.dot(b.T), c.T.dot(a), c @ b, cupy.matmul(a, b.T),
                      cupy.tensordot(a, b, ((1,), (1,)))]

    with capturer.prepared():
        compute()
    launch = capturer.capture(compute)
    for _ in range(2):
        a += 1
        launch()
        for y, expected in zip(results, [
                a.dot(b.T), c.T.dot(a), c.dot(b), a.dot(b.T), a.dot(b.T)],
                strict=True):
            numpy.testing.assert_allclose(
                y.get(), expected.get(), rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
def test_memory_is_its_own(capturer):
    cupy = cuda.cupy
    x = cupy.ones(1000)
    y = []

    def compute():
        y[:] = [(x + 1) * 2 - 3]

    with capturer.prepared():
        compute()
    launch = capturer.capture(compute)
    others = [cupy.full(1000, 7.) for _ in range(20)]
    x[:] = 5
    launch()
    assert (y[0] == 9).all()
    assert all((other == 7).all() for other in others)


@pytest.mark.gpu
@pytest.mark.parametrize('what', ['copy', 'read', 'draw'])
def test_refused(what, capturer):
    cupy = cuda.cupy
    x = cupy.ones(100)
    functions = {
        'copy': lambda: cupy.asarray(numpy.ones(100)),
        'read': lambda: float((x * 2).sum()),
        'draw': lambda: cupy.random.rand(100)}
    with capturer.prepared():
        functions[what]()
    with pytest.raises((RuntimeError, NotImplementedError)):
        capturer.capture(functions[what])
    # All is well again.
    assert cupy.asarray(numpy.ones(100)).sum() == 100
    assert float((x * 2).sum()) == 200
    launch = capturer.capture(lambda: cupy.add(x, 1, out=x))
    launch()
    assert (x == 2).all()
