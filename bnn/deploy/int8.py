"""Float first and last layers with 8-bit weights and operands.

The pixels have 8 bits already.  The operand of the last layer, unless it is
signs or levels, is rounded to 255 steps of the largest value that some
training images make.
"""
import dataclasses

import numpy

from bnn.deploy import operations
from bnn.deploy import reference

_PRODUCTS = operations.Linear, operations.Convolution2D
_STEPS = 255


def quantize_ends(net_operations, rescale, images):
    """Rewrites the first and the last layer, if their weights are floats.

    Args:
        net_operations (list of ~bnn.deploy.operations.Operation): The net.
        rescale (~bnn.deploy.operations.Rescale): How pixels were scaled.
        images (numpy.ndarray): uint8 (n, channels, h, w), some of those it
            was trained on.

    Returns:
        tuple: The operations, with layers of 8 bits and a Quantize before the
        last one where that was given floats, and the scaling, now of the
        same factor for all channels.
    """
    found = list(net_operations)
    first, last = (next(
        i for i in order if isinstance(found[i], _PRODUCTS)) for order in (
            range(len(found)), reversed(range(len(found)))))
    if found[last].W.bits == 32 and last != first:
        if isinstance(found[last - 1], operations.BatchNormalization) and (
                not any(getattr(found[last], 'pad', ()))):
            found[last - 1:last + 1] = [
                _absorb(found[last - 1], found[last])]
            last -= 1
        layer = found[last] = _eight_bits(found[last])
        if not _has_levels(found[:last]):
            largest = _largest(found, last, rescale, images)
            low = 0. if isinstance(
                found[last - 1], operations.ReLU) else -largest
            found.insert(last, operations.Quantize(
                name=layer.name,
                n=(_STEPS if low == 0 else _STEPS // 2) / largest,
                low=low, high=largest))
    if found[first].W.bits == 32:
        ratio = 1.
        if rescale.kind == 'standard':
            # The deviations go into the weights.
            std = numpy.float64(rescale.std)
            ratio = (std[0] / std).reshape(1, -1, *(1,) * (
                found[first].W.values.ndim - 2))
            rescale = dataclasses.replace(
                rescale, std=(rescale.std[0],) * len(std))
        found[first] = _eight_bits(found[first], ratio)
    return found, rescale


def _has_levels(before):
    """Whether activations already make what a layer is given few values."""
    one = next((one for one in reversed(before) if not isinstance(
        one, (operations.Flatten, operations.MaxPooling2D))), None)
    return isinstance(one, (operations.Sign, operations.Quantize))


def _largest(found, last, rescale, images):
    sizes = []

    def watch(operation, x):
        if operation is found[last]:
            sizes.append(float(abs(x).max(initial=0)))

    for i in range(0, len(images), 50):
        reference.run([rescale, *found], images[i:i + 50], numpy.float32,
                      watch)
    return max([*sizes, 1e-20])


def _absorb(normalization, layer):
    """Puts batch normalization into the weights of the layer behind it."""
    zero, one = (reference.apply(
        normalization, numpy.full((1, len(normalization.mean)), value),
        numpy.float64)[0] for value in (0., 1.))
    W = layer.W.values.astype(numpy.float64)
    shape = 1, -1, *(1,) * (W.ndim - 2)
    b = (W * zero.reshape(shape)).reshape(len(W), -1).sum(axis=1)
    if layer.b is not None:
        b += layer.b
    return dataclasses.replace(
        layer, b=b.astype(numpy.float32), W=operations.Weights(
            32, (W * (one - zero).reshape(shape)).astype(numpy.float32)))


def _eight_bits(layer, factor=1.):
    """Rounds weights to 127 steps of the largest one of their filter."""
    W = layer.W.values.astype(numpy.float64) * factor
    largest = abs(W).reshape(len(W), -1).max(axis=1)
    scale = numpy.where(largest > 0, largest, 1) / 127
    values = numpy.rint(W / scale.reshape(-1, *(1,) * (W.ndim - 1)))
    return dataclasses.replace(layer, W=operations.Weights(
        8, values.astype(numpy.int16), scale.astype(numpy.float32)))
