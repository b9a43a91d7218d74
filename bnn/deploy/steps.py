"""The steps in which a packed net runs, stage by stage or several at once."""
import itertools
import math

import numpy

from bnn.deploy import dense
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import reference
from bnn.kernels import bit_images
from bnn.kernels import bits
from bnn.kernels import packed_perceptron


def make(stages):
    """Yields the steps: callables of a value and the kept scales.

    A value is an array (n, ...): uint8 pixels, float32, or packed bits,
    uint32 (n, h, w, words) or (n, words).  A flattened packed image keeps
    the order of its words, which the weights that follow are brought into.
    """
    stages, i = list(stages), 0
    image = None  # of flattened bits: the shape that they had
    is_packed = False
    while i < len(stages):
        stage = stages[i]
        of_signs = isinstance(stage, packed.PixelSigns) and any(
            map(_is_flatten, stages[i + 1:i + 2]))
        start = i + 2 * of_signs
        run = list(itertools.takewhile(_is_perceptron, stages[start:]))
        ends = [n for n, layer in enumerate(run, 1)
                if layer.result == 'float' or n == len(run)]
        if run and (of_signs or is_packed or stage.operand == 'pixels'):
            run = run[:ends[0]]
            yield _perceptron(run, image, of_signs)
            i = start + len(run)
            is_packed, image = run[-1].result == 'bits', None
            continue
        i += 1
        operation = getattr(stage, 'operation', None)
        if _is_flatten(stage):
            if is_packed and len(stage.input_shape) == 3:
                image = stage.input_shape
            yield _flatten
            continue
        if isinstance(stage, packed.Product):
            if is_packed and not _is_bit_convolution(stage):
                yield _unpacker(image or stage.input_shape, stage.input_shape)
                is_packed, image = False, None
            if is_packed:
                yield _bit_convolution(stage)
            else:
                yield _dense(stage)
            is_packed = stage.result == 'bits'
        elif isinstance(stage, packed.BitMaxPooling):
            yield _bit_pooling(stage)
        elif isinstance(stage, packed.PixelSigns):
            yield _pixel_signs
            is_packed = True
        else:
            yield of_operation(operation)
            is_packed = isinstance(operation, operations.Sign)


def _is_flatten(stage):
    return isinstance(
        getattr(stage, 'operation', None), operations.Flatten)


def _is_perceptron(stage):
    return (isinstance(stage, packed.Product) and not stage.is_convolution
            and stage.weights.bits == 1 and stage.result != 'levels' and (
                stage.operand == 'bits' or stage.operand == 'pixels'
                and stage.result == 'bits' and stage.pixel_map == (1, 0)))


def _is_bit_convolution(stage):
    return (stage.is_convolution and stage.groups == 1
            and stage.weights.bits == 1 and stage.result != 'levels')


def _perceptron(layers, image, of_signs):
    weights, limits, sizes, dot = [], [], [], None
    for layer in layers:
        signs = layer.weights.rows()
        if image is not None:  # (channels, h, w) to packed (h, w, channels)
            rows = bits.pack(numpy.ascontiguousarray(numpy.moveaxis(
                signs.reshape(len(signs), *image), 1, 3), numpy.float32))
            weights.append(rows.reshape(len(signs), -1))
        else:
            weights.append(bits.pack(signs.astype(numpy.float32)))
        size = signs.shape[1]
        sizes.append(size)
        if layer.result == 'float':
            limits.append(None)
        elif layer.operand == 'pixels':
            # s = 255 (number of +1) - what differs, bit j counting 2^j
            ones = (signs > 0).sum(axis=1, dtype=numpy.int64)
            limits.append(_limits(255 * ones - layer.thresholds))
            dot = signs.astype(numpy.int8), layer.thresholds
        else:
            limits.append(_limits(
                (size - layer.thresholds.astype(numpy.int64)) // 2))
        image = None
    perceptron = packed_perceptron.Perceptron(
        weights, limits, sizes, layers[-1].scale, layers[-1].offset,
        layers[0].operand == 'pixels', dot, of_signs)
    return lambda x, kept: perceptron(_flatten(x, kept))


def _limits(values):
    return numpy.clip(values, -1, packed.NEVER).astype(numpy.int32)


def _flatten(x, kept):
    return x.reshape(len(x), math.prod(x.shape[1:]))


def _bit_convolution(stage):
    convolution = bit_images.BitConvolution(
        stage.weights.values(), stage.stride, stage.pad, stage.dilate,
        stage.pad_value, stage.input_shape[1:], stage.thresholds,
        stage.scale, stage.offset)
    return lambda x, kept: convolution(x)


def _dense(stage):
    layer = dense.Dense(stage)
    if stage.result != 'bits':
        return lambda x, kept: layer(x)

    thresholds = stage.thresholds.astype(layer.dtype)

    def step(x, kept):
        # With the channels last the sums lie as they were computed.  The
        # sign of a difference of floats is exact.
        s = numpy.moveaxis(layer.sums(x), 1, -1)
        return bits.pack(s - thresholds)

    return step


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


def of_operation(operation):
    """Returns the step of an operation that stays as it was trained."""
    if isinstance(operation, operations.KeepScale):
        def step(x, kept):
            kept.append(reference.keep_scale(operation, x))
            return x
    elif isinstance(operation, operations.MultiplyScale):
        def step(x, kept):
            return x * kept.pop()
    elif isinstance(operation, operations.Sign):
        def step(x, kept):
            limits = numpy.zeros(x.shape[1], x.dtype)
            if operation.shift is not None:
                x = x - reference.channels(operation.shift, x)
            if x.ndim == 4:
                return bit_images.pack_channels(
                    numpy.ascontiguousarray(x), limits)
            return bits.pack(x)
    elif isinstance(operation, operations.Quantize):
        def step(x, kept):
            y = numpy.clip(x, operation.low, operation.high)
            y *= numpy.float32(operation.n)
            return numpy.rint(y, out=y)
    else:
        def step(x, kept):
            return reference.apply(operation, x, numpy.float32)
    return step
