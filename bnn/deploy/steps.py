"""The steps in which a packed net runs, one stage or several at once.

A step takes a value and a list of kept values.  A value is an array
(n, ...): uint8 pixels, float32 floats or levels, or packed bits, uint32
(n, h, w, words) or (n, words).
"""
import itertools
import math

import numpy

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
    # Sums of whole numbers are exact: in float32 as far as it counts, else in
    # float64.
    dtype = numpy.float32
    if stage.is_integer and stage.largest_sum >= 1 << 24:
        dtype = numpy.float64
    sums = _byte_sums(stage) or _blas_sums(stage, dtype)
    thresholds = stage.thresholds
    if stage.result == 'bits':
        thresholds = thresholds.astype(dtype)

    def step(x, kept):
        s = sums(x).astype(dtype, copy=False)
        if stage.result == 'bits':
            # With the channels last the sums lie as they were computed.  The
            # sign of a difference of floats is exact.
            return bits.pack(numpy.moveaxis(s, 1, -1) - thresholds)
        return _floats(stage, s) if stage.result == 'float' else _levels(
            stage, s)

    return step


def _blas_sums(stage, dtype):
    """Returns a function from a layer's operand to its sums, by the BLAS."""
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
    if (high - low > 255 or W.min() < -128 or W.max() > 127
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


def _floats(stage, s):
    s = s.astype(numpy.float32, copy=False)
    s *= reference.channels(stage.scale, s)
    s += reference.channels(stage.offset, s)
    return s


def _levels(stage, s):
    """Returns levels, whole numbers in float32."""
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


def _unpacker(packed_shape, shape):
    def step(x, kept):
        x = x.reshape(len(x), *packed_shape[1:], -1)
        return bit_images.unpack_channels(x, packed_shape[0]).reshape(
            len(x), *shape)

    return step


def _bit_pooling(stage):
    pool = operations.MaxPooling2D(
        ksize=stage.ksize, stride=stage.stride, pad=stage.pad,
        cover_all=stage.cover_all)
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
    if isinstance(operation, operations.Sign):
        def step(x, kept):
            if operation.shift is not None:
                x = x - reference.channels(operation.shift, x)
            if x.ndim == 4:
                return bit_images.pack_channels(
                    numpy.ascontiguousarray(x),
                    numpy.zeros(x.shape[1], x.dtype))
            return bits.pack(x)
    elif isinstance(operation, operations.Quantize):
        def step(x, kept):
            y = numpy.clip(x, operation.low, operation.high)
            y *= numpy.float32(operation.n)
            return numpy.rint(y, out=y)
    else:
        def step(x, kept):
            return reference.step(operation, x, kept, numpy.float32)
    return step
