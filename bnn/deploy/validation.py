"""Does a packed net that was read make sense?  Nothing runs before.

The kernels go by addresses; every size that they rely on is compared here.
"""
import functools
import math

import numpy

from bnn.deploy import operations
from bnn.deploy import packed

# Of one example's values, and of the classes
_MAX_VALUES, _MAX_CLASSES = 1 << 26, 1 << 20


def check(net):
    """Raises ValueError where a net contradicts itself.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net, as it was read.

    """
    shape(net.input_shape)
    expect(len(net.input_shape) == 3, 'images have three dimensions')
    expect(isinstance(net.facts, dict), 'facts are a table')
    names = net.class_names
    expect(0 < len(names) <= _MAX_CLASSES
           and all(isinstance(name, str) for name in names),
           'classes have names')
    expect(isinstance(net.rescale, operations.Rescale), 'pixels are scaled')
    _check_operation(net.rescale, net.input_shape)
    here, kind, kept = net.input_shape, 'pixels', []
    for stage in net.stages:
        expect(isinstance(stage.name, str), 'a stage has a name')
        expect(shape(stage.input_shape) == here,
               '%s does not take what it is given' % stage.name)
        shape(stage.output_shape)
        expected, kind = _check_stage(stage, here, kind)
        if isinstance(stage, packed.FloatStage):
            _check_scale(stage.operation, here, kept)
        expect(stage.output_shape == expected,
               '%s does not give what it says' % stage.name)
        here = expected
    expect(kind == 'float' and here == (len(names),),
           'it does not end with a score for each class')


def expect(condition, words):
    """Raises ValueError with ``words`` unless ``condition`` holds."""
    if not condition:
        raise ValueError(words)


def whole(value, low, high):
    """Returns a whole number if it is one in [low, high]."""
    expect(type(value) is int and low <= value <= high,
           '%.40r is not a whole number in [%d, %d]' % (value, low, high))
    return value


def shape(value):
    """Returns a shape if it is one."""
    expect(isinstance(value, tuple) and len(value) in (1, 3), 'a shape has '
           'one dimension or three')
    for size in value:
        whole(size, 1, _MAX_VALUES)
    expect(math.prod(value) <= _MAX_VALUES, 'a shape is too large')
    return value


def array(value, dtype, wanted):
    """Expects an array."""
    expect(isinstance(value, numpy.ndarray) and value.dtype == dtype
           and value.shape == tuple(wanted),
           'an array is not of %s %s' % (numpy.dtype(dtype), wanted))


def _pair(value, low, high=4096):
    expect(isinstance(value, tuple) and len(value) == 2, 'a size is a pair')
    for one in value:
        whole(one, low, high)


def _check_scale(operation, here, kept):
    """Follows which scales are kept, and of what size."""
    if isinstance(operation, operations.KeepScale):
        kept.append(() if operation.ksize is None else (
            operations.MaxPooling2D(
                ksize=operation.ksize, stride=operation.stride,
                pad=operation.pad).output_shape(here)[1:]))
    elif isinstance(operation, operations.MultiplyScale):
        expect(kept and tuple(kept.pop()) == here[1:],
               'no such scale was kept')


@functools.singledispatch
def _check_stage(stage, here, kind):
    """Returns shape and kind of the result."""
    raise ValueError('there is no such stage')


@_check_stage.register
def _(stage: packed.PixelSigns, here, kind):
    expect(kind == 'pixels', 'signs are of pixels')
    return here, 'bits'


@_check_stage.register
def _(stage: packed.BitMaxPooling, here, kind):
    expect(kind == 'bits' and len(here) == 3, 'a pool of bits has none')
    array(stage.is_minimum, bool, here[:1])
    return _pooled(stage, here), 'bits'


def _pooled(stage, here):
    _pair(stage.ksize, 1)
    _pair(stage.stride, 1)
    _pair(stage.pad, 0)
    expect(isinstance(stage.cover_all, bool), 'cover_all is yes or no')
    expect(all(p < k <= n + 2 * p for p, k, n in zip(
        stage.pad, stage.ksize, here[1:], strict=True)),
        'a window does not fit')
    return tuple(operations.MaxPooling2D(
        ksize=stage.ksize, stride=stage.stride, pad=stage.pad,
        cover_all=stage.cover_all).output_shape(here))


@_check_stage.register
def _(stage: packed.FloatStage, here, kind):
    operation = stage.operation
    expect(isinstance(operation, operations.Operation),
           'there is no such operation')
    if isinstance(operation, operations.Flatten):
        return (math.prod(here),), kind
    expect(kind == ('pixels' if isinstance(operation, operations.Rescale)
                    else 'float'), 'it takes floats')
    expected = _check_operation(operation, here)
    return expected, {operations.Sign: 'bits',
                      operations.Quantize: 'levels'}.get(
                          type(operation), 'float')


def _check_operation(operation, here):
    """Returns the shape of the result."""
    n = here[:1]
    if isinstance(operation, operations.Rescale):
        expect(operation.kind in ('unit', 'signed', 'standard', 'binary'),
               'there is no such scaling')
        if operation.kind == 'standard':
            for values in operation.mean, operation.std:
                expect(len(values) in (1, n[0]) and all(
                    type(v) is float for v in values), 'a mean is a float')
            expect(min(operation.std) > 0, 'a deviation is above 0')
    elif isinstance(operation, operations.BatchNormalization):
        for name in 'gamma', 'beta', 'mean', 'var':
            array(getattr(operation, name), numpy.float32, n)
        expect(type(operation.eps) is float and operation.eps >= 0
               and (operation.var >= 0).all(), 'a variance is not below 0')
    elif isinstance(operation, operations.Bias):
        array(operation.b, numpy.float32, n)
    elif isinstance(operation, operations.Sign):
        if operation.shift is not None:
            array(operation.shift, numpy.float32, n)
    elif isinstance(operation, operations.RPReLU):
        for name in 'gamma', 'zeta', 'beta':
            array(getattr(operation, name), numpy.float32, n)
    elif isinstance(operation, (operations.Quantize, operations.Clip)):
        expect(type(operation.low) is float and type(operation.high) is float
               and operation.low < operation.high, 'a range has two ends')
        if isinstance(operation, operations.Quantize):
            expect(0 < operation.n < 1e30 and (
                operation.high - operation.low) * operation.n < 1 << 16,
                'levels are few')
    elif isinstance(operation, operations.KeepScale):
        if operation.ksize is not None:
            expect(len(here) == 3, 'windows are of images')
            _pair(operation.ksize, 1)
            _pair(operation.stride, 1)
            _pair(operation.pad, 0)
            expect(all(p < k <= m + 2 * p for p, k, m in zip(
                operation.pad, operation.ksize, here[1:], strict=True)),
                'a window does not fit')
    elif isinstance(operation, (operations.MaxPooling2D,
                                operations.AveragePooling2D)):
        expect(len(here) == 3, 'a pool is of images')
        return _pooled(operation, here)
    elif isinstance(operation, operations.Mean):
        expect(len(here) == 3, 'a mean is of images')
    return tuple(operation.output_shape(here))


@_check_stage.register
def _(stage: packed.Product, here, kind):
    expect(stage.operand == kind, '%s takes no %s' % (stage.name, kind))
    expect(stage.result in ('bits', 'levels', 'float'), 'no such result')
    expected = _check_geometry(stage, here)
    _check_weights(stage.weights)
    _pair(stage.operand_range, -1 << 24, 1 << 24)
    n = len(stage.weights.data)
    if stage.is_integer:
        expect(stage.largest_sum < packed.NEVER, 'sums exceed 32 bits')
    if stage.result == 'float':
        array(stage.scale, numpy.float32, (n,))
        array(stage.offset, numpy.float32, (n,))
        return expected, 'float'
    wide = numpy.int32 if stage.is_integer else numpy.float32
    if stage.result == 'bits':
        array(stage.thresholds, wide, (n,))
        return expected, 'bits'
    whole(stage.low, -1 << 16, 1 << 16)
    whole(stage.high, stage.low + 1, 1 << 16)
    if stage.thresholds is not None:
        array(stage.thresholds, wide, (n, stage.high - stage.low))
    else:
        expect(stage.is_integer, 'levels are of whole numbers')
        array(stage.multiplier, numpy.int64, (n,))
        array(stage.addend, numpy.int64, (n,))
        whole(stage.shift, 0, 62)
    return expected, 'levels'


def _check_geometry(stage, here):
    """Returns the shape of the result."""
    weights = stage.weights
    expect(isinstance(weights, packed.PackedWeights), 'a layer has weights')
    expect(isinstance(weights.shape, tuple) and len(weights.shape) in (2, 4),
           'weights have two dimensions or four')
    for size in weights.shape:
        whole(size, 1, _MAX_VALUES)
    whole(stage.groups, 1, here[0])
    whole(stage.pad_value, 0, 1)
    _pair(stage.pixel_map, -65536, 65536)
    if len(weights.shape) == 2:
        expect(len(here) == 1 and weights.shape[1] == here[0]
               and stage.groups == 1, 'a linear layer does not fit')
        return weights.shape[:1]
    expect(len(here) == 3 and weights.shape[1] * stage.groups == here[0]
           and weights.shape[0] % stage.groups == 0,
           'a convolution does not fit')
    _pair(stage.stride, 1)
    _pair(stage.pad, 0)
    _pair(stage.dilate, 1)
    if stage.pad_pixels is not None:
        array(stage.pad_pixels, numpy.uint8, here[:1])
    spans = [d * (k - 1) + 1 for k, d in zip(
        weights.shape[2:], stage.dilate, strict=True)]
    expect(all(p < max(2, span) and span <= n + 2 * p for span, p, n in zip(
        spans, stage.pad, here[1:], strict=True)), 'a window does not fit')
    return (weights.shape[0], *(
        (n + 2 * p - span) // s + 1 for n, p, span, s in zip(
            here[1:], stage.pad, spans, stage.stride, strict=True)))


def _check_weights(weights):
    whole(weights.bits, 1, 32)
    n = math.prod(weights.shape[1:])
    if weights.bits == 32:
        array(weights.data, numpy.float32, (weights.shape[0], n))
        return
    whole(weights.bits, 1, 9)
    array(weights.data, numpy.uint8,
          (weights.shape[0], -(-n * weights.bits // 8)))
    whole(weights.low, -4096, 4096)
    whole(weights.step, 1, 2)
    expect(weights.bits > 1 or (weights.low, weights.step) == (-1, 2),
           'weights of one bit are +1 and -1')
