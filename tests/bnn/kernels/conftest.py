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


@pytest.fixture(params=['cpu', 'gpu'])
def device(request):
    """A :class:`Device`: the CPU, and a GPU that is emulated."""
    return Device(None if request.param == 'cpu' else
                  request.getfixturevalue('emulated_cupy'))


@pytest.fixture
def gpu(emulated_cupy):
    """A :class:`Device` that is emulated."""
    return Device(emulated_cupy)
