"""Dropout whose draws a CUDA graph does not repeat."""
import chainer
import chainer.functions as F

from bnn.kernels import gpu_random


def dropout(x, ratio=.5):
    """Chainer's dropout, with draws that follow from seed and iteration.

    Chainer's generator for GPUs would draw the same numbers each time that a
    captured iteration is replayed, and CuPy refuses it there.  Where an
    iteration has no :class:`~bnn.kernels.gpu_random.Source`, as on the CPU,
    it is :func:`chainer.functions.dropout`.

    Args:
        x (~chainer.Variable or array): Any shape, float.
        ratio (float): Share of the elements that training makes 0.

    Returns:
        ~chainer.Variable: Of the shape and dtype of ``x``.
    """
    source = gpu_random.current()
    if source is None or not chainer.config.train:
        return F.dropout(x, ratio)
    return F.dropout(x, ratio, mask=source.mask(x.shape, x.dtype, ratio))
