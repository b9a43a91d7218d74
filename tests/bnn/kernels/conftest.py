"""One test body for NumPy arrays and for CuPy's, emulated."""
import numpy
import pytest


class Device(object):
    """Where arrays are; ``cupy`` is None or a module like CuPy."""

    def __init__(self, cupy=None):
        self.cupy = cupy

    def send(self, x):
        if self.cupy is not None and isinstance(x, numpy.ndarray):
            return self.cupy.asarray(x)
        return x

    def fetch(self, x):
        return x if self.cupy is None else x.get()

    def call(self, function, *args, **kwargs):
        """Calls a function of NumPy arrays there."""
        found = function(*map(self.send, args), **kwargs)
        if isinstance(found, tuple):
            return tuple(map(self.fetch, found))
        return self.fetch(found)


def _cupy(request):
    if request.param == 'emulated':
        return request.getfixturevalue('emulated_cupy')
    return pytest.importorskip('cupy')


_CUDA = pytest.param('cuda', marks=pytest.mark.gpu)  # skipped without one


@pytest.fixture(params=['cpu', 'emulated', _CUDA])
def device(request):
    """A :class:`Device`: the CPU, a GPU that is emulated, and a real one."""
    return Device(None if request.param == 'cpu' else _cupy(request))


@pytest.fixture(params=['emulated', _CUDA])
def gpu(request):
    """A :class:`Device`: a GPU that is emulated, and a real one."""
    return Device(_cupy(request))


@pytest.fixture
def emulated_gpu(emulated_cupy):
    """A :class:`Device` that is emulated."""
    return Device(emulated_cupy)
