"""Whether a packed net that was read makes sense, before anything runs it.

The kernels go by addresses; every size that they rely on is compared here.
"""
import functools
import math

import numpy

from bnn.deploy import operations
from bnn.deploy import stages

# Values of one example, and classes
_MAX_VALUES, _MAX_CLASSES = 1 << 26, 1 << 20
# float32 arrays of an operation, of one value a channel
_CHANNEL_ARRAYS = {
    operations.BatchNormalization: ('gamma', 'beta', 'mean', 'var'),
    operations.Bias: ('b',), operations.RPReLU: ('gamma', 'zeta', 'beta'),
    operations.Sign: ('shift',)}


def check(net: stages.PackedNet) -> None:
    """Raises ValueError where a net contradicts itself."""
    _check_shape(net.input_shape)
    _expect(len(net.input_shape) == 3, 'images have three dimensions')
    _expect(isinstance(net.facts, dict), 'facts are a table')
    names = net.class_names
    _expect(0 < len(names) <= _MAX_CLASSES
            and all(isinstance(name, str) for name in names),
            'classes have names')
    _expect(isinstance(net.rescale, operations.Rescale), 'pixels are scaled')
    _check_operation(net.rescale, net.input_shape)
    here, kind, kept = net.input_shape, 'pixels', []
    for stage in net.stages:
        _expect(isinstance(stage.name, str), 'a stage has a name')
        _expect(_check_shape(stage.input_shape) == here,
                f'{stage.name} does not take what it is given')
        _check_shape(stage.output_shape)
        try:
            expected, kind = _check_stage(stage, here, kind)
            if isinstance(stage, stages.FloatStage):
                _check_kept(stage.operation, here, kept)
        except ValueError as e:
            name = stage.name or type(
                getattr(stage, 'operation', stage)).__name__
            raise ValueError(f'{name}: {e}') from e
        _expect(stage.output_shape == expected,
                f'{stage.name} does not give what it says')
        here = expected
    _expect(kind == 'float' and here == (len(names),),
            'it does not end with a score for each class')


def whole(value, low: int, high: int) -> int:
    """Returns a whole number; raises ValueError if it is not in range."""
    _expect(type(value) is int and low <= value <= high,
            f'{value!r:.40} is not a whole number in [{low}, {high}]')
    return value


def _expect(condition, words):
    if not condition:
        raise ValueError(words)


def _check_shape(value):
    _expect(isinstance(value, tuple) and len(value) in (1, 3), 'a shape has '
            'one dimension or three')
    for size in value:
        whole(size, 1, _MAX_VALUES)
    _expect(math.prod(value) <= _MAX_VALUES, 'a shape is too large')
    return value


def _check_array(value, dtype, wanted):
    _expect(isinstance(value, numpy.ndarray) and value.dtype == dtype
            and value.shape == tuple(wanted),
            f'an array is not of {numpy.dtype(dtype)} {wanted}')


def _check_pair(value, low, high=4096):
    _expect(isinstance(value, tuple) and len(value) == 2, 'a size is a pair')
    for one in value:
        whole(one, low, high)


def _check_window(window, here):
    _expect(len(here) == 3, 'windows are of images')
    _check_pair(window.ksize, 1)
    _check_pair(window.stride, 1)
    _check_pair(window.pad, 0)
    _expect(all(p < k <= n + 2 * p for p, k, n in zip(
        window.pad, window.ksize, here[1:], strict=True)),
        'a window does not fit')


def _pooled(pool, here):
    """Returns the shape of the result."""
    _check_window(pool, here)
    _expect(isinstance(pool.cover_all, bool), 'cover_all is yes or no')
    return tuple(pool.output_shape(here))


def _check_kept(operation, here, kept):
    """Follows what is kept, and of what shape."""
    if isinstance(operation, operations.KeepScale):
        kept.append(() if operation.ksize is None else tuple(
            operations.MaxPooling2D(
                ksize=operation.ksize, stride=operation.stride,
                pad=operation.pad).output_shape(here)[1:]))
    elif isinstance(operation, operations.MultiplyScale):
        _expect(kept and kept.pop() == here[1:], 'no such scale was kept')
    elif isinstance(operation, operations.Keep):
        kept.append(here)
    elif isinstance(operation, operations.Swap):
        _expect(kept and kept.pop() == operation.shape,
                'no such value was kept')
        kept.append(here)
    elif isinstance(operation, operations.AddKept):
        _expect(kept and kept.pop() == here, 'no such value was kept')


@functools.singledispatch
def _check_stage(stage, here, kind):
    """Returns shape and kind of the result."""
    raise ValueError('there is no such stage')


@_check_stage.register
def _(stage: stages.PixelSigns, here, kind):
    _expect(kind == 'pixels', 'signs are of pixels')
    return here, 'bits'


@_check_stage.register
def _(stage: stages.BitMaxPooling, here, kind):
    _expect(kind == 'bits', 'a pool of bits has none')
    shape = _pooled(stage.pool, here)
    _check_array(stage.is_minimum, bool, here[:1])
    return shape, 'bits'


@_check_stage.register
def _(stage: stages.FloatStage, here, kind):
    operation = stage.operation
    _expect(isinstance(operation, operations.Operation),
            'there is no such operation')
    if isinstance(operation, operations.Flatten):
        return (math.prod(here),), kind
    if stages.is_level_pooling(stage, kind):
        return _pooled(operation, here), kind
    _expect(kind == ('pixels' if isinstance(operation, operations.Rescale)
                     else 'float'), 'it takes floats')
    return _check_operation(operation, here), {
        operations.Sign: 'bits', operations.Quantize: 'levels'}.get(
            type(operation), 'float')


def _check_operation(operation, here):
    """Returns the shape of the result."""
    n = here[:1]
    for name in _CHANNEL_ARRAYS.get(type(operation), ()):
        if name != 'shift' or operation.shift is not None:
            _check_array(getattr(operation, name), numpy.float32, n)
    if isinstance(operation, operations.Rescale):
        _expect(operation.kind in ('unit', 'signed', 'standard', 'binary'),
                'there is no such scaling')
        if operation.kind == 'standard':
            for values in operation.mean, operation.std:
                _expect(len(values) in (1, n[0]) and all(
                    type(v) is float for v in values), 'a mean is a float')
            _expect(min(operation.std) > 0, 'a deviation is above 0')
    elif isinstance(operation, operations.Whiten):
        size = math.prod(here)
        _check_array(operation.mean, numpy.float32, (size,))
        _check_array(operation.matrix, numpy.float32, (size, size))
    elif isinstance(operation, operations.BatchNormalization):
        _expect(type(operation.eps) is float and operation.eps >= 0
                and (operation.var >= 0).all(), 'a variance is not below 0')
    elif isinstance(operation, (operations.Quantize, operations.Clip)):
        low, high = operation.low, operation.high
        _expect(type(low) is float and type(high) is float and low < high,
                'a range has two ends')
        if isinstance(operation, operations.Quantize):
            _expect(0 < operation.n < 1e30
                    and (high - low) * operation.n < 1 << 16,
                    'levels are few')
    elif isinstance(operation, operations.KeepScale):
        if operation.ksize is not None:
            _check_window(operation, here)
    elif isinstance(operation, (operations.MaxPooling2D,
                                operations.AveragePooling2D)):
        return _pooled(operation, here)
    elif isinstance(operation, operations.Swap):
        _check_shape(operation.shape)
    elif isinstance(operation, operations.PadChannels):
        for n in operation.before, operation.after:
            whole(n, 0, _MAX_VALUES)
    elif isinstance(operation, operations.Mean):
        _expect(len(here) == 3, 'a mean is of images')
    return tuple(operation.output_shape(here))


@_check_stage.register
def _(stage: stages.Product, here, kind):
    _expect(stage.operand == kind, f'{stage.name} takes no {kind}')
    expected = _check_geometry(stage, here)
    _check_weights(stage.weights)
    _check_pair(stage.operand_range, -1 << 24, 1 << 24)
    if stage.is_integer:
        _expect(stage.largest_sum < stages.NEVER, 'sums exceed 32 bits')
    n = len(stage.weights.data)
    wide = numpy.int32 if stage.is_integer else numpy.float32
    if stage.result == 'float':
        _check_array(stage.scale, numpy.float32, (n,))
        _check_array(stage.offset, numpy.float32, (n,))
    elif stage.result == 'bits':
        _check_array(stage.thresholds, wide, (n,))
    else:
        _expect(stage.result == 'levels', 'no such result')
        whole(stage.low, -1 << 16, 1 << 16)
        whole(stage.high, stage.low + 1, 1 << 16)
        if stage.thresholds is not None:
            _check_array(stage.thresholds, wide, (n, stage.high - stage.low))
        else:
            _expect(stage.is_integer, 'levels are of whole numbers')
            _check_array(stage.multiplier, numpy.int64, (n,))
            _check_array(stage.addend, numpy.int64, (n,))
            whole(stage.shift, 0, 62)
    return expected, stage.result


def _check_geometry(stage, here):
    """Returns the shape of the result."""
    weights = stage.weights
    _expect(isinstance(weights, stages.PackedWeights), 'a layer has weights')
    _expect(isinstance(weights.shape, tuple)
            and len(weights.shape) in (2, 4),
            'weights have two dimensions or four')
    for size in weights.shape:
        whole(size, 1, _MAX_VALUES)
    whole(stage.groups, 1, here[0])
    whole(stage.pad_value, 0, 1)
    _check_pair(stage.pixel_map, -65536, 65536)
    if len(weights.shape) == 2:
        _expect(len(here) == 1 and weights.shape[1] == here[0]
                and stage.groups == 1, 'a linear layer does not fit')
        return weights.shape[:1]
    _expect(len(here) == 3 and weights.shape[1] * stage.groups == here[0]
            and weights.shape[0] % stage.groups == 0,
            'a convolution does not fit')
    _check_pair(stage.stride, 1)
    _check_pair(stage.pad, 0)
    _check_pair(stage.dilate, 1)
    if stage.pad_pixels is not None:
        _check_array(stage.pad_pixels, numpy.uint8, here[:1])
    spans = [d * (k - 1) + 1 for k, d in zip(
        weights.shape[2:], stage.dilate, strict=True)]
    _expect(all(p < max(2, span) and span <= n + 2 * p for span, p, n in zip(
        spans, stage.pad, here[1:], strict=True)), 'a window does not fit')
    return (weights.shape[0], *(
        (n + 2 * p - span) // s + 1 for n, p, span, s in zip(
            here[1:], stage.pad, spans, stage.stride, strict=True)))


def _check_weights(weights):
    whole(weights.bits, 1, 32)
    n = math.prod(weights.shape[1:])
    if weights.bits == 32:
        _check_array(weights.data, numpy.float32, (weights.shape[0], n))
        return
    whole(weights.bits, 1, 9)
    _check_array(weights.data, numpy.uint8,
                 (weights.shape[0], -(-n * weights.bits // 8)))
    whole(weights.low, -4096, 4096)
    whole(weights.step, 1, 2)
    _expect(weights.bits > 1 or (weights.low, weights.step) == (-1, 2),
            'weights of one bit are +1 and -1')
