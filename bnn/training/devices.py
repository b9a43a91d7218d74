"""From ``--gpu`` and ``--precision`` to a Chainer device."""
import os

import chainer
from chainer.backends import cuda

from bnn import errors
from bnn.kernels import float_tiles


def get(gpu: int, precision: str = 'float32') -> chainer.backend.Device:
    """Returns the device to train on, ready for use.

    Args:
        gpu: Number of the GPU, or -1 for the CPU.
        precision: See :mod:`bnn.chainer_ops.precision`; set for the process.

    Returns:
        The device, made the current one.

    Raises:
        ~bnn.errors.UserError: If there is no such GPU, or CuPy or the CUDA
            libraries are missing; the line has the reason.
    """
    chainer.global_config.precision = precision
    if gpu == -1:
        device = chainer.get_device('@numpy')
    else:
        _check_gpu(gpu)
        device = chainer.get_device(f'@cupy:{gpu}')
    device.use()
    return device


def describe(device: chainer.backend.Device) -> str:
    """Returns the device in words, for the header of a run."""
    if device.xp.__name__ == 'numpy':
        n = os.environ.get('OMP_NUM_THREADS') or os.cpu_count()
        return f'CPU, {n} threads'
    number = device.device.id
    properties = cuda.cupy.cuda.runtime.getDeviceProperties(number)
    return f'GPU {number}, {properties["name"].decode()}'


def describe_products(gpu: int, precision: str) -> str:
    """Returns precision and unit of the products of the backward pass.

    Args:
        gpu: Number of the GPU, or -1 for the CPU.
        precision: See :mod:`bnn.chainer_ops.precision`.
    """
    if gpu != -1:
        return 'float32 on a GPU'
    if precision == 'float32':
        return precision
    return f'{precision} on {float_tiles.NAMES[float_tiles.UNIT]}'


def _check_gpu(gpu):
    if gpu < 0:
        raise errors.UserError(
            f'--gpu {gpu}: there is no such GPU; -1 is the CPU')
    if not cuda.available:
        # Chainer swallows the reason and only says that it is unavailable.
        reason = getattr(cuda, '_resolution_error', None)
        if isinstance(reason, ModuleNotFoundError) and reason.name == 'cupy':
            raise errors.UserError(
                f'--gpu {gpu}: CuPy is not installed; run: '
                'pip install -r requirements-gpu.txt')
        raise errors.UserError(
            f'--gpu {gpu}: CUDA cannot be used: {errors.one_line(reason)} (a '
            'driver is needed, and CuPy with its CUDA libraries: pip install '
            '-r requirements-gpu.txt)')
    try:
        count = cuda.cupy.cuda.runtime.getDeviceCount()
    except cuda.cupy.cuda.runtime.CUDARuntimeError as e:
        raise errors.UserError(
            f'--gpu {gpu}: CUDA finds no GPU: {errors.one_line(e)}') from e
    if gpu >= count:
        raise errors.UserError(
            f'--gpu {gpu}: there is no such GPU; this machine has {count}, '
            'numbered from 0')
