"""What a link computes in a test, in the operations of :mod:`bnn.deploy`."""
import dataclasses

import chainer
import chainer.links as L
import numpy
from chainer import backend

from bnn.deploy import operations
from zoo.quantized_net import qst


def of(link):
    """Describes a link: one of ours by itself, or Chainer's own.

    Args:
        link (~chainer.Link): One with a method ``describe``, or a Linear,
            Convolution2D, BatchNormalization or Bias of Chainer.

    Returns:
        list of ~bnn.deploy.operations.Operation: In order, named after the
        link.

    Raises:
        TypeError: If nothing is known of such a link.
    """
    if hasattr(link, 'describe'):
        found = link.describe()
    else:
        for kind, describe in _CHAINERS.items():
            if isinstance(link, kind):
                found = describe(link)
                break
        else:
            raise TypeError('%s cannot describe itself: it has no method '
                            'describe' % type(link).__name__)
    return [dataclasses.replace(operation, name='/'.join(
        name for name in (link.name, operation.name) if name))
        for operation in found]


def array(param):
    """Returns a parameter or an array on the CPU, a copy; None of None."""
    if param is None:
        return None
    return numpy.array(backend.CpuDevice().send(chainer.as_array(param)))


def pair(value):
    """Returns a size as (h, w)."""
    return tuple(int(v) for v in (
        value if hasattr(value, '__getitem__') else (value, value)))


def weights(W, bits=1, scaled=False):
    """Returns the signs of weights, with their alpha, or floats.

    Args:
        W (~chainer.Parameter): Latent weights, (filters, ...).
        bits (int): 1 or 32.
        scaled (bool or str): Whether there is an alpha.

    Returns:
        ~bnn.deploy.operations.Weights: As a layer computes with them.
    """
    W = array(W)
    if bits == 32:
        return operations.Weights(32, W.astype(numpy.float32))
    alpha = None
    if scaled:
        alpha = abs(W).mean(axis=tuple(range(1, W.ndim)),
                            dtype=numpy.float32)
    return operations.Weights(
        1, numpy.where(W >= 0, 1, -1).astype(numpy.int8), alpha)


def _linear(link):
    return [operations.Linear(W=weights(link.W, 32), b=array(link.b))]


def _convolution_2d(link):
    return [operations.Convolution2D(
        W=weights(link.W, 32), b=array(link.b), stride=pair(link.stride),
        pad=pair(link.pad), dilate=pair(link.dilate), groups=link.groups)]


def _batch_normalization(link):
    mean, var = array(link.avg_mean), array(link.avg_var)
    gamma, beta = (
        default(mean) if param is None else array(param)
        for param, default in (
            (getattr(link, 'gamma', None), numpy.ones_like),
            (getattr(link, 'beta', None), numpy.zeros_like)))
    return [operations.BatchNormalization(
        gamma=gamma, beta=beta, mean=mean, var=var, eps=float(link.eps))]


def _bias(link):
    return [operations.Bias(b=array(link.b))]


_CHAINERS = {
    L.Linear: _linear, L.Convolution2D: _convolution_2d,
    L.BatchNormalization: _batch_normalization, L.Bias: _bias}


def max_pooling(ksize, stride=None, pad=0, cover_all=True):
    """Describes ``F.max_pooling_2d`` with these arguments."""
    return operations.MaxPooling2D(
        ksize=pair(ksize), stride=pair(stride or ksize), pad=pair(pad),
        cover_all=cover_all)


def average_pooling(ksize, stride=None, pad=0):
    """Describes ``F.average_pooling_2d`` with these arguments."""
    return operations.AveragePooling2D(
        ksize=pair(ksize), stride=pair(stride or ksize), pad=pair(pad))


def quantizer(bits, name):
    """Describes :func:`zoo.quantized_net.qst.qst` with these arguments."""
    n, low, high = qst.levels(bits, name)
    if bits == 1:
        return operations.Sign()
    if bits == 32:
        return operations.Clip(low=low, high=high)
    return operations.Quantize(n=n, low=low, high=high)
