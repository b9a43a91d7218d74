"""Nets of one bit: packed, run without Chainer, exported.

Three descriptions of a net follow one another:

1. What it computes, as trained: a list of
   :mod:`~bnn.deploy.operations`.  ``net.describe()`` gives it
   (``description.of`` for a link of Chainer's own), and
   :func:`bnn.deploy.reference.run` is its definition.  An exporter that wants
   the net as it was trained, with float arithmetic, ONNX for one, reads
   these: ``Linear.W.dense()`` are the weights as floats, +-1 times alpha.

2. What is stored: a :class:`~bnn.deploy.packed.PackedNet`, a list of stages.
   :func:`bnn.deploy.packing.pack` makes it of 1.  Batch normalization, bias,
   alpha, ReLU and the scaling of the pixels are in integer thresholds then.
   An exporter that wants whole numbers, C for one, reads these: for each
   :class:`~bnn.deploy.packed.Product` ``weights.rows()`` (or ``values()``)
   and ``thresholds``; it refuses a stage whose operand or result is
   ``'float'``, but for the scores at the end.

3. What runs: :func:`load` reads the file and arranges it for this machine.

::

    net = bnn.deploy.load('net.bnn')
    net.predict(images)          # uint8 (n, channels, h, w) -> classes (n,)

`docs/packed_format.md` describes the file.
"""
from bnn.deploy import file_format as _file_format
from bnn.deploy import runtime as _runtime
from bnn.deploy.runtime import softmax

__all__ = ['load', 'softmax']


def load(path):
    """Loads a packed net.

    Args:
        path (str): The file, of ``export.py --to packed``.

    Returns:
        ~bnn.deploy.runtime.Net: The net, ready to predict.

    Raises:
        ~bnn.errors.UserError: If it cannot be read, is no packed net,
            truncated, damaged, of a later version, or contradicts itself.

    """
    return _runtime.Net(_file_format.load(path))
