"""The devices that a test runs on: the CPU, and a GPU where there is one."""
import chainer
import pytest
from chainer.backends import cuda

# Without a GPU conftest.py takes out what is marked so.
NAMES = '@numpy', pytest.param('@cupy:0', marks=pytest.mark.gpu)

each = pytest.mark.parametrize('device', NAMES)


def has_gpu():
    """Tells whether there is a GPU, and CuPy with a driver for it."""
    if not cuda.available:
        return False
    try:
        return cuda.cupy.cuda.runtime.getDeviceCount() > 0
    except cuda.cupy.cuda.runtime.CUDARuntimeError:
        return False  # CuPy is there, the driver is not


def get(name):
    """Returns a device, made the current one."""
    device = chainer.get_device(name)
    device.use()
    return device


def to_cpu(array):
    """Returns a NumPy array of what an array or a variable holds."""
    return chainer.get_device('@numpy').send(chainer.as_array(array))
