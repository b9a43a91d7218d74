"""Bit-packed nets: made of a trained net, run without Chainer, exported.

A net is described three times, one description after the other:

1. :mod:`~bnn.deploy.operations`: what the net computes, as it was trained.
   :mod:`bnn.deploy.reference` defines each operation.  ONNX is written from
   these, with float arithmetic.
2. :mod:`~bnn.deploy.stages`: what is stored.  :func:`bnn.deploy.packing.pack`
   folds batch normalization, bias, alpha, ReLU and the scaling of the pixels
   into integer thresholds (:mod:`bnn.deploy.fold`).  The ``.bnn`` file, C
   and the web page hold these.  :mod:`bnn.deploy.numpy_stages` defines each.
3. :mod:`~bnn.deploy.steps`: what runs.  :class:`~bnn.deploy.run.Net` arranges
   the stages for this machine when it needs them: not for a first single
   image.

::

    net = bnn.deploy.load('net.bnn')
    net.predict(images)          # uint8 (n, channels, h, w) -> classes (n,)

:func:`pack` makes such a net of any :class:`chainer.Chain`, and :func:`save`
writes it.  Only the former needs Chainer.

`docs/packed_format.md` describes the file.
"""
from typing import Any as _Any

import numpy as _numpy

from bnn import errors as _errors
from bnn.deploy import file_format as _file_format
from bnn.deploy import operations as _operations
from bnn.deploy import packing as _packing
from bnn.deploy import run as _run
from bnn.deploy.run import softmax

__all__ = ['load', 'pack', 'save', 'softmax']


def load(path: str) -> _run.Net:
    """Loads a packed net.

    Args:
        path: A file of ``export.py --to packed``.

    Returns:
        The net, ready to predict.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read, is no packed net,
            is truncated, damaged or of a later version, or contradicts
            itself.
    """
    return _run.Net(_file_format.load(path))


def pack(model: _Any, example: _Any,
         rescale: str | _operations.Rescale = 'unit',
         class_names: _Any = None, facts: dict | None = None) -> _run.Net:
    """Packs a net of Chainer, read off one forward pass.

    Args:
        model (~chainer.Link): The net: called with images, it returns the
            scores.  `docs/own_net.md` lists what it may consist of.
        example (array): Images as the net sees them, (n, channels, h, w).
            Their values do not matter.
        rescale: How the training scaled pixels of 0 to 255: ``'unit'`` to
            [0, 1], ``'signed'`` to [-1, 1], ``'binary'`` to +-1, or an
            :class:`~bnn.deploy.operations.Rescale`.
        class_names (sequence of str or None): The classes; by default their
            numbers.
        facts: See :class:`~bnn.deploy.stages.PackedNet`.

    Returns:
        The net, ready to predict uint8 images.

    Raises:
        ~bnn.errors.UserError: If the net has a function that is not
            supported, or cannot be packed: which one, in which layer, and
            what to use instead.
    """
    # Nothing else here needs Chainer.
    from bnn.deploy import tracing

    if _numpy.ndim(example) != 4:
        raise _errors.UserError(
            f'an example of the shape {_numpy.shape(example)} is not of '
            '(n, channels, h, w); a linear layer flattens images itself')
    if isinstance(rescale, str):
        rescale = _operations.Rescale(kind=rescale)
    found = tracing.trace(model, model.device.send(
        _numpy.asarray(example, _numpy.float32)))
    shape = input_shape = _numpy.shape(example)[1:]
    for operation in found:
        shape = operation.output_shape(shape)
    if class_names is None:
        class_names = map(str, range(shape[0]))
    return _run.Net(_packing.pack(
        found, input_shape, rescale, class_names, facts))


def save(path: str, net: _run.Net) -> None:
    """Writes a packed net.

    Args:
        path: The file, ``'net.bnn'``.
        net: Of :func:`pack` or :func:`load`.

    Raises:
        OSError: If it cannot be written.
    """
    contents = _file_format.dump(net.packed)
    with open(path, 'wb') as f:
        f.write(contents)
