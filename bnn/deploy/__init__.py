"""Bit-packed nets: made of a trained net, run without Chainer, exported.

A net is described three times, one description after the other:

1. :mod:`~bnn.deploy.operations`: what the net computes, as it was trained.
   :mod:`bnn.deploy.reference` defines each operation.  ONNX is written from
   these, with float arithmetic.
2. :mod:`~bnn.deploy.stages`: what is stored.  :func:`bnn.deploy.pack.pack`
   folds batch normalization, bias, alpha, ReLU and the scaling of the pixels
   into integer thresholds (:mod:`bnn.deploy.fold`).  The ``.bnn`` file, C
   and the web page hold these.
3. :mod:`~bnn.deploy.run`: what runs.  :func:`load` reads a file and arranges
   it for this machine.

::

    net = bnn.deploy.load('net.bnn')
    net.predict(images)          # uint8 (n, channels, h, w) -> classes (n,)

`docs/packed_format.md` describes the file.
"""
from bnn.deploy import file_format as _file_format
from bnn.deploy import run as _run
from bnn.deploy.run import softmax

__all__ = ['load', 'softmax']


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
