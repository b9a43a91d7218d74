"""Runs the CuPy code of the project on a machine without a GPU.

:mod:`cuda_emulation.fake_cupy` stands in for CuPy; the kernels are compiled
for the CPU with ``emulation.h``, which has what CUDA gives them.  What it
cannot show: how fast they are, and what a GPU's weaker order of memory
accesses would do between two barriers.
"""
import importlib
import sys

from cuda_emulation import fake_cupy

_MODULES = ('bnn.kernels.gpu', 'bnn.kernels.gpu_perceptron',
            'bnn.kernels.gpu_convolution', 'bnn.deploy.gpu_steps')
_loaded = {}  # modules that have the fake CuPy in them


def install(monkeypatch):
    """Puts the fake CuPy in the place of CuPy until the test ends.

    Args:
        monkeypatch (pytest.MonkeyPatch): Undoes it.

    Returns:
        module: The fake CuPy.
    """
    for name in _of_gpu():
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(*_place(name), raising=False)
    monkeypatch.setitem(sys.modules, 'cupy', fake_cupy)
    monkeypatch.setattr(fake_cupy, 'recorded', None)
    if not _loaded:
        for name in _MODULES:
            importlib.import_module(name)
        _loaded.update({name: sys.modules[name] for name in _of_gpu()})
        for name in _loaded:  # not undone
            del sys.modules[name]
            delattr(*_place(name))
    for name, module in _loaded.items():
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(*_place(name), module, raising=False)
    return fake_cupy


def _of_gpu():
    """Returns the names of the loaded modules that have imported CuPy."""
    return [name for name, module in sys.modules.items()
            if name == 'bnn.deploy.gpu_steps'
            or name.startswith('bnn.kernels.gpu') and hasattr(module, 'cupy')]


def _place(name):
    package, _, short = name.rpartition('.')
    return sys.modules[package], short
