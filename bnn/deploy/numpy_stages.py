"""The definition of every stage, in NumPy alone: no Numba is loaded.

A value is an array (n, ...): uint8 pixels, or float32 floats, levels, or bits
as +1 and -1.
"""
import numpy

from bnn.deploy import operations
from bnn.deploy import reference
from bnn.deploy import stages


def run(net_stages, x):
    """Computes a packed net.

    The weights are unpacked layer by layer and not kept.

    Args:
        net_stages (sequence): Of :mod:`~bnn.deploy.stages`.
        x (numpy.ndarray): uint8 pixels (n, channels, h, w).

    Returns:
        numpy.ndarray: float32 (n, n_classes).
    """
    kept = []
    for stage in net_stages:
        if isinstance(stage, stages.Product):
            x = result(stage, blas_sums(stage)(x))
        elif isinstance(stage, stages.BitMaxPooling):
            x = _pool(stage, x)
        elif isinstance(stage, stages.PixelSigns):
            x = _signs(x >= 128)
        else:
            x = apply(stage.operation, x, kept)
    return x


def result(stage, s):
    """Computes a layer's result of its sums.

    Args:
        stage (~bnn.deploy.stages.Product): The layer.
        s (numpy.ndarray): The sums, (n, filters, ...); may be overwritten.

    Returns:
        numpy.ndarray: float32, of the same shape.
    """
    if stage.result == 'bits':
        return _signs(s >= reference.channels(stage.thresholds, s))
    if stage.result == 'levels':
        return _levels(stage, s)
    # Later sums are in the order of the memory, and round by it.
    s = numpy.ascontiguousarray(s, numpy.float32)
    s *= reference.channels(stage.scale, s)
    s += reference.channels(stage.offset, s)
    return s


def sum_dtype(stage):
    """Returns the dtype that holds a layer's sums.

    Sums of whole numbers are exact: in float32 as far as it counts, else in
    float64.
    """
    if stage.is_integer and stage.largest_sum >= 1 << 24:
        return numpy.float64
    return numpy.float32


def blas_sums(stage):
    """Returns a function from a layer's operand to its sums, by the BLAS."""
    dtype = sum_dtype(stage)
    W = numpy.ascontiguousarray(stage.weights.values(), dtype)
    multiplier, addend = map(dtype, stage.pixel_map)
    is_mapped = stage.operand == 'pixels' and stage.pixel_map != (1, 0)

    def sums(x):
        x = x.astype(dtype, copy=False)
        if is_mapped:
            x = x * multiplier + addend
        if not stage.is_convolution:
            return x.reshape(len(x), -1) @ W.T
        return reference.convolve(
            _padded(stage, x), W, stage.stride, stage.dilate,
            stage.groups)

    return sums


def apply(operation, x, kept):
    """Computes an operation that stays as it was trained.

    Args:
        operation (~bnn.deploy.operations.Operation): The operation.
        x (numpy.ndarray): Its operand, (n, ...).
        kept (list of numpy.ndarray): What operations keep for later ones.

    Returns:
        numpy.ndarray: The result; of ``Quantize`` the levels.
    """
    if isinstance(operation, operations.Quantize):
        x = numpy.clip(x, operation.low, operation.high)
        x *= numpy.float32(operation.n)
        return numpy.rint(x, out=x)
    return reference.step(operation, x, kept, numpy.float32)


def _signs(is_positive):
    return numpy.where(is_positive, numpy.float32(1), numpy.float32(-1))


def _padded(stage, x):
    if stage.pad_pixels is None:
        return reference.padded(x, stage.pad, stage.pad_value)
    inside = tuple(slice(p, p + n) for p, n in zip(
        stage.pad, x.shape[2:], strict=True))
    y = numpy.empty((*x.shape[:2], *(
        n + 2 * p for n, p in zip(x.shape[2:], stage.pad, strict=True))),
        x.dtype)
    y[...] = reference.channels(stage.pad_pixels, x)
    y[:, :, inside[0], inside[1]] = x
    return y


def _levels(stage, s):
    if stage.thresholds is None:
        levels = (s.astype(numpy.int64) * reference.channels(
            stage.multiplier, s) + reference.channels(
                stage.addend, s)) >> stage.shift
        return numpy.clip(levels, stage.low, stage.high).astype(
            numpy.float32)
    levels = numpy.full_like(s, stage.low, numpy.float32)
    for limits in stage.thresholds.T:
        levels += s >= reference.channels(limits, s)
    return levels


def _pool(stage, x):
    return numpy.where(
        stage.is_minimum[:, None, None],
        reference.pooled(stage.pool, x, numpy.minimum, 1),
        reference.pooled(stage.pool, x, numpy.maximum, -1))
