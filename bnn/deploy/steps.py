"""The compiled steps of a packed net, one stage or several at once.

:mod:`~bnn.deploy.numpy_stages` defines what they compute.

A step takes a value and a list of kept values.  A value is an array
(n, ...): uint8 pixels, float32 floats or levels, or packed bits, uint32
(n, h, w, words) or (n, words).
"""
import itertools
import math

import numpy

from bnn.deploy import numpy_stages
from bnn.deploy import operations
from bnn.deploy import reference
from bnn.deploy import stages
from bnn.kernels import bit_images
from bnn.kernels import bits
from bnn.kernels import byte_products
from bnn.kernels import packed_perceptron


def make(net_stages):
    """Yields the steps of a net.

    A flattened packed image keeps the order of its words, to which the
    weights of the next layer are brought.

    Args:
        net_stages (sequence): Of :mod:`~bnn.deploy.stages`.

    Yields:
        callable: A step.
    """
    rest = list(net_stages)
    is_packed = False
    image = None  # the shape of bits before they were flattened
    while rest:
        of_signs = isinstance(rest[0], stages.PixelSigns) and any(
            map(stages.is_flatten, rest[1:2]))
        layers = _perceptron_layers(rest[2 * of_signs:])
        if layers and (of_signs or is_packed or layers[0].operand == 'pixels'):
            yield _perceptron(layers, image, of_signs)
            del rest[:2 * of_signs + len(layers)]
            is_packed, image = layers[-1].result == 'bits', None
            continue
        stage = rest.pop(0)
        if stages.is_flatten(stage):
            if is_packed and len(stage.input_shape) == 3:
                image = stage.input_shape
            yield _flatten
        elif isinstance(stage, stages.Product):
            if is_packed and not _is_bit_convolution(stage):
                yield _unpacker(image or stage.input_shape, stage.input_shape)
                is_packed, image = False, None
            yield _bit_convolution(stage) if is_packed else _dense(stage)
            is_packed = stage.result == 'bits'
        elif isinstance(stage, stages.BitMaxPooling):
            yield _bit_pooling(stage)
        elif isinstance(stage, stages.PixelSigns):
            yield _pixel_signs
            is_packed = True
        else:
            yield _operation(stage.operation)
            is_packed = isinstance(stage.operation, operations.Sign)


def _perceptron_layers(net_stages):
    """Returns the layers in front that one kernel computes together."""
    layers = []
    for stage in itertools.takewhile(_is_perceptron, net_stages):
        layers.append(stage)
        if stage.result == 'float':
            break
    return layers


def _is_perceptron(stage):
    return (isinstance(stage, stages.Product) and not stage.is_convolution
            and stage.weights.bits == 1 and stage.result != 'levels' and (
                stage.operand == 'bits' or stage.operand == 'pixels'
                and stage.result == 'bits' and stage.pixel_map == (1, 0)))


def _is_bit_convolution(stage):
    return (stage.is_convolution and stage.groups == 1
            and stage.weights.bits == 1 and stage.result != 'levels')


def _perceptron(layers, image, of_signs):
    weights, limits, sizes = [], [], []
    for layer in layers:
        signs = layer.weights.rows()
        size = signs.shape[1]
        sizes.append(size)
        if image is not None:  # (channels, h, w) to packed (h, w, channels)
            rows = bits.pack(numpy.ascontiguousarray(numpy.moveaxis(
                signs.reshape(len(signs), *image), 1, 3), numpy.float32))
            weights.append(rows.reshape(len(signs), -1))
            image = None
        else:
            weights.append(bits.pack(signs.astype(numpy.float32)))
        if layer.result == 'float':
            limits.append(None)
        elif layer.operand == 'pixels':
            # s = 255 (number of +1) - what differs, bit j counting 2^j
            ones = (signs > 0).sum(axis=1, dtype=numpy.int64)
            limits.append(_limits(255 * ones - layer.thresholds))
        else:
            limits.append(_limits(
                (size - layer.thresholds.astype(numpy.int64)) // 2))
    perceptron = packed_perceptron.Perceptron(
        weights, limits, sizes, layers[-1].scale, layers[-1].offset,
        layers[0].operand == 'pixels', of_signs)
    return lambda x, kept: perceptron(_flatten(x, kept))


def _limits(values):
    return numpy.clip(values, -1, stages.NEVER).astype(numpy.int32)


def _flatten(x, kept):
    return x.reshape(len(x), math.prod(x.shape[1:]))


def _bit_convolution(stage):
    convolution = bit_images.BitConvolution(
        stage.weights.values(), stage.stride, stage.pad, stage.dilate,
        stage.pad_value, stage.input_shape[1:], stage.thresholds,
        stage.scale, stage.offset)
    return lambda x, kept: convolution(x)


def _dense(stage):
    """Returns the step of a layer whose operand is not bits alone."""
    dtype = numpy_stages.sum_dtype(stage)
    sums = _byte_sums(stage) or numpy_stages.blas_sums(stage)
    if stage.result != 'bits':
        return lambda x, kept: numpy_stages.result(
            stage, sums(x).astype(dtype, copy=False))
    thresholds = stage.thresholds.astype(dtype)

    def step(x, kept):
        # With the channels last the sums lie as they were computed.  The
        # sign of a difference of floats is exact.
        return bits.pack(numpy.moveaxis(
            sums(x).astype(dtype, copy=False), 1, -1) - thresholds)

    return step


def _byte_sums(stage):
    """Returns a function from a linear layer's operand to its sums, int32.

    Returns:
        callable: The function; ``None`` where the layer has other than 8-bit
        numbers, or the processor does not multiply these.
    """
    if (not byte_products.IS_AVAILABLE or not stage.is_integer
            or stage.is_convolution or stage.pixel_map != (1, 0)):
        return None
    low, high = (0, 255) if stage.operand == 'pixels' else stage.operand_range
    W = stage.weights.values().astype(numpy.int64)
    reach = abs(W).sum(axis=1).max() * (255 + abs(low))
    if (high - low > 255 or abs(W).max() > byte_products.LARGEST
            or reach > stages.NEVER):
        return None
    columns = byte_products.arrange(W.astype(numpy.int8))
    # The operand is low + a byte.
    addends = (low * W.sum(axis=1)).astype(numpy.int32)

    def sums(x):
        octets = (_flatten(x, None) - x.dtype.type(low)).astype(
            numpy.uint8, copy=False)
        return byte_products.multiply(octets, columns) + addends

    return sums


def _unpacker(packed_shape, shape):
    def step(x, kept):
        x = x.reshape(len(x), *packed_shape[1:], -1)
        return bit_images.unpack_channels(x, packed_shape[0]).reshape(
            len(x), *shape)

    return step


def _bit_pooling(stage):
    pool = stage.pool
    is_minimum = bits.pack(numpy.where(
        stage.is_minimum, numpy.float32(1), numpy.float32(-1)))

    def step(x, kept):
        planes = numpy.moveaxis(x, 3, 1)
        y = reference.pooled(pool, planes, numpy.bitwise_or, 0)
        if is_minimum.any():
            mask = is_minimum[:, None, None]
            least = reference.pooled(
                pool, planes, numpy.bitwise_and, 0xffffffff)
            y = y & ~mask | least & mask
        return numpy.ascontiguousarray(numpy.moveaxis(y, 1, 3))

    return step


def _pixel_signs(x, kept):
    if x.ndim == 2:
        return bits.pack(x.astype(numpy.float32) - 128)
    return bit_images.pack_channels(
        x.astype(numpy.float32), numpy.full(x.shape[1], 128, numpy.float32))


def _operation(operation):
    """Returns the step of an operation that stays as it was trained."""
    if not isinstance(operation, operations.Sign):
        return lambda x, kept: numpy_stages.apply(operation, x, kept)

    def step(x, kept):
        if operation.shift is not None:
            x = x - reference.channels(operation.shift, x)
        if x.ndim == 4:
            return bit_images.pack_channels(
                numpy.ascontiguousarray(x), numpy.zeros(x.shape[1], x.dtype))
        return bits.pack(x)

    return step
