"""Runs the CuPy code of the project on a machine without a GPU.

:mod:`cuda_emulation.fake_cupy` stands in for CuPy; the kernels are compiled
for the CPU with ``emulation.h``, which has what CUDA gives them.  What it
cannot show: how fast they are, and what a GPU's weaker order of memory
accesses would do between two barriers.
"""
import importlib
import sys

import bnn.kernels
from cuda_emulation import fake_cupy

_loaded = {}  # modules that have the fake CuPy in them


def install(monkeypatch):
    """Puts the fake CuPy in the place of CuPy until the test ends.

    Args:
        monkeypatch (pytest.MonkeyPatch): Undoes it.

    Returns:
        module: The fake CuPy.
    """
    names = [name for name in sys.modules
             if name.startswith('bnn.kernels.gpu')] + list(_loaded)
    for name in dict.fromkeys(names):
        _forget(name, monkeypatch)
    monkeypatch.setitem(sys.modules, 'cupy', fake_cupy)
    monkeypatch.setattr(fake_cupy, 'recorded', None)
    if not _loaded:
        importlib.import_module('bnn.kernels.gpu')
        importlib.import_module('bnn.kernels.gpu_perceptron')
        _loaded.update({
            name: module for name, module in sys.modules.items()
            if name.startswith('bnn.kernels.gpu')})
        for name in _loaded:  # not undone
            del sys.modules[name]
            delattr(bnn.kernels, name.rpartition('.')[2])
    for name, module in _loaded.items():
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(bnn.kernels, name.rpartition('.')[2], module,
                            raising=False)
    return fake_cupy


def _forget(name, monkeypatch):
    if name in sys.modules:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(bnn.kernels, name.rpartition('.')[2], raising=False)
