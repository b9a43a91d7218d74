"""The definition of every operation, in plain NumPy of any precision.

Slow; what is packed is held to it, in float64.
"""
import functools
import sys

import numpy

from bnn.deploy import operations
from bnn.kernels import whitening


def run(net_operations, images, dtype=numpy.float64, watch=None):
    """Computes a net.

    Args:
        net_operations (list of ~bnn.deploy.operations.Operation): The net,
            with a Rescale in front if the images are pixels.
        images (numpy.ndarray): (batch, channels, h, w).
        dtype: Of the arithmetic, float32 or float64.
        watch (callable or None): Called with each operation and its operand.

    Returns:
        numpy.ndarray: The result of the last one.
    """
    x, kept = images, []
    for operation in net_operations:
        if watch is not None:
            watch(operation, x)
        x = step(operation, x, kept, dtype)
    return x


def step(operation, x, kept, dtype):
    """Computes an operation.

    Args:
        operation (~bnn.deploy.operations.Operation): The operation.
        x (numpy.ndarray): Its operand, (batch, ...).
        kept (list of numpy.ndarray): What operations keep for later ones.
        dtype: Of the arithmetic, float32 or float64.

    Returns:
        numpy.ndarray: The result.
    """
    if isinstance(operation, operations.KeepScale):
        kept.append(keep_scale(operation, x))
    elif isinstance(operation, operations.Keep):
        kept.append(x)
    elif isinstance(operation, operations.Swap):
        kept[-1], x = x, kept[-1]
    elif isinstance(operation, operations.MultiplyScale):
        x = x * kept.pop()
    elif isinstance(operation, operations.AddKept):
        x = x + kept.pop()
    else:
        x = apply(operation, x, dtype)
    return x


@functools.singledispatch
def apply(operation, x, dtype):
    """Computes an operation of one operand, in ``dtype``."""
    raise TypeError(f'no operation {type(operation).__name__}')


@apply.register
def _(operation: operations.Rescale, x, dtype):
    if operation.kind == 'binary':
        return numpy.where(x >= 128, 1, -1).astype(dtype)
    x = x.astype(dtype)
    if operation.kind == 'signed':
        return x / dtype(127.5) - dtype(1)
    x /= dtype(255)
    if operation.kind == 'unit':
        return x
    return (x - channels(dtype(operation.mean), x)) / channels(
        dtype(operation.std), x)


@apply.register
def _(operation: operations.Whiten, x, dtype):
    return whitening.whiten(*(
        array.astype(dtype, copy=False)
        for array in (x, operation.mean, operation.matrix)))


@apply.register
def _(operation: operations.Linear, x, dtype):
    y = x.reshape(len(x), -1) @ operation.W.values.astype(dtype).T
    return _scaled(operation, y, dtype)


@apply.register
def _(operation: operations.Convolution2D, x, dtype):
    x = padded(x, operation.pad, operation.pad_value)
    return _scaled(operation, convolve(
        x, operation.W.values.astype(dtype), operation.stride,
        operation.dilate, operation.groups), dtype)


def convolve(x, W, stride, dilate, groups):
    """Convolves padded images.

    Args:
        x (numpy.ndarray): (n, channels, h, w).
        W (numpy.ndarray): (filters, channels / groups, kh, kw).
        stride, dilate (tuple of int): (h, w).
        groups (int): Groups of channels.

    Returns:
        numpy.ndarray: (n, filters, h_out, w_out).
    """
    parts = [numpy.moveaxis(numpy.tensordot(
        patches(part, W.shape[2:], stride, dilate), filters,
        ((1, 4, 5), (1, 2, 3))), 3, 1) for part, filters in zip(
            numpy.split(x, groups, axis=1), numpy.split(W, groups),
            strict=True)]
    return parts[0] if groups == 1 else numpy.concatenate(parts, axis=1)


def _scaled(operation, y, dtype):
    # The scale comes after the exact sum, as in training on signs.
    if operation.W.scale is not None:
        y *= channels(operation.W.scales().astype(dtype), y)
    if operation.b is not None:
        y += channels(operation.b.astype(dtype), y)
    return y


def padded(x, pad, value):
    """Pads images, (h, w) on each side."""
    if not any(pad):
        return x
    return numpy.pad(x, ((0, 0), (0, 0), *((p, p) for p in pad)),
                     constant_values=value)


def patches(x, ksize, stride, dilate=(1, 1)):
    """Returns a view of the windows, (batch, channels, h, w, kh, kw)."""
    size = tuple(d * (k - 1) + 1 for k, d in zip(ksize, dilate, strict=True))
    # Of the array's own library: several releases of NumPy do not find CuPy's.
    library = sys.modules[type(x).__module__.partition('.')[0]]
    view = library.lib.stride_tricks.sliding_window_view(
        x, size, axis=(2, 3))
    return view[:, :, ::stride[0], ::stride[1], ::dilate[0], ::dilate[1]]


def channels(values, x):
    """Shapes one value a channel to be combined with ``x``."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


@apply.register
def _(operation: operations.BatchNormalization, x, dtype):
    inv_std = 1 / numpy.sqrt(
        operation.var.astype(numpy.float64) + operation.eps)
    gamma, beta, mean, inv_std = (channels(v.astype(dtype), x) for v in (
        operation.gamma, operation.beta, operation.mean, inv_std))
    return gamma * ((x - mean) * inv_std) + beta


@apply.register
def _(operation: operations.Bias, x, dtype):
    return x + channels(operation.b.astype(dtype), x)


@apply.register
def _(operation: operations.Sign, x, dtype):
    if operation.shift is not None:
        x = x - channels(operation.shift.astype(dtype), x)
    return numpy.where(x >= 0, 1, -1).astype(dtype)


@apply.register
def _(operation: operations.Quantize, x, dtype):
    return numpy.rint(numpy.clip(x, operation.low, operation.high)
                      * dtype(operation.n)) / dtype(operation.n)


@apply.register
def _(operation: operations.Clip, x, dtype):
    return numpy.clip(x, operation.low, operation.high)


@apply.register
def _(operation: operations.ReLU, x, dtype):
    return numpy.maximum(x, 0)


@apply.register
def _(operation: operations.RPReLU, x, dtype):
    gamma, zeta, beta = (channels(v.astype(dtype), x) for v in (
        operation.gamma, operation.zeta, operation.beta))
    x = x - gamma
    return numpy.where(x > 0, x, beta * x) + zeta


@apply.register
def _(operation: operations.MaxPooling2D, x, dtype):
    return pooled(operation, x, numpy.maximum, -numpy.inf)


@apply.register
def _(operation: operations.AveragePooling2D, x, dtype):
    return pooled(operation, x, numpy.add, 0) / dtype(
        operation.ksize[0] * operation.ksize[1])


def pooled(operation, x, combine, outside):
    """Combines windows, element by element.

    Args:
        operation: With the ``ksize``, ``stride``, ``pad`` of a pooling.
        x (numpy.ndarray): (batch, channels, h, w).
        combine (numpy.ufunc): Of two arrays.
        outside (float): What the padding is.

    Returns:
        numpy.ndarray: (batch, channels, h_out, w_out).
    """
    size = operation.output_shape(x.shape[1:])[1:]
    after = [max(0, (n - 1) * s + k - p - length) for n, s, k, p, length in
             zip(size, operation.stride, operation.ksize, operation.pad,
                 x.shape[2:], strict=True)]
    if any(operation.pad) or any(after):
        x = numpy.pad(x, ((0, 0), (0, 0), *zip(
            operation.pad, after, strict=True)), constant_values=outside)
    y = None
    for at in numpy.ndindex(*operation.ksize):
        rows, columns = (
            slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(
                at, size, operation.stride, strict=True))
        part = x[:, :, rows, columns]
        y = part.copy() if y is None else combine(y, part, out=y)
    return y


@apply.register
def _(operation: operations.Mean, x, dtype):
    return x.mean(axis=(2, 3))


@apply.register
def _(operation: operations.Flatten, x, dtype):
    return x.reshape(len(x), -1)


@apply.register
def _(operation: operations.PadChannels, x, dtype):
    return numpy.pad(x, (
        (0, 0), (operation.before, operation.after),
        *((0, 0),) * (x.ndim - 2)))


def keep_scale(operation, x):
    """Returns K, see :class:`~bnn.deploy.operations.KeepScale`."""
    x = abs(x)
    if operation.ksize is None:
        return x.reshape(len(x), -1).mean(axis=1, keepdims=True)
    x = padded(x.mean(axis=1, keepdims=True), operation.pad, 0)
    return patches(x, operation.ksize, operation.stride).mean(axis=(4, 5))
