"""The layers of a packed net in C: whole numbers, in planes of bits or bytes.

A sum of a layer is over weights ``low + step c`` and operands
``offset + map u``, where both c and u have a few bits and no sign.  It is

    map step A + map low U + constant

with ``A`` the sum of ``c u`` (XNOR and popcount are its case of one bit) and
``U`` the sum of ``u``, which depends on the image alone.  The constant goes
into the thresholds.  Weights of many bits are bytes instead.
"""
import dataclasses
import math

import numpy

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import stages

TILE = 32
# So many popcounts of a word take as long as products of its bytes.
_MAX_PLANES = 32


@dataclasses.dataclass(kw_only=True)
class Layer:
    """A layer in C.

    Attributes:
        product (~bnn.deploy.stages.Product): The layer as it is packed.
        numbers (dict): Fields of ``struct bnn_layer`` of the source.
        arrays (dict): Fields that are arrays: the weights as ``bits``,
            uint32 (tiles, planes, words, TILE), or as ``bytes``, int16
            (filters, inputs); ``pad``, for each channel u outside the image;
            ``thresholds``, ``multiplier`` and ``addend``, padded to tiles.
        constant (numpy.ndarray): int64 (filters,), see above.
        has_gaps (bool): Whether outside the image is no u.
    """

    product: stages.Product
    numbers: dict
    arrays: dict = dataclasses.field(default_factory=dict)
    constant: numpy.ndarray = None
    has_gaps: bool = False

    @property
    def weight_bytes(self):
        """int: What a weight takes that is not in planes of bits."""
        values = self.arrays['bytes']
        return 1 if values.min() >= -128 and values.max() <= 127 else 2

    @property
    def flash(self):
        """int: Bytes of constants, with words of 32 bits."""
        size = sum(array.nbytes for array in self.arrays.values())
        if 'bytes' in self.arrays:
            size -= self.arrays['bytes'].size * (2 - self.weight_bytes)
        if self.product.result == 'float':
            size += 12 * len(self.constant)
        return size


def is_pooling(step):
    """Tells whether a step is a max-pool, of bits or of levels."""
    return isinstance(step, (stages.BitMaxPooling, stages.FloatStage))


def output_shape_of(step):
    """Returns the shape of a step's result."""
    return getattr(step, 'product', step).output_shape


def result_of(step):
    """Returns the kind of a step's result."""
    if isinstance(step, Layer):
        return step.product.result
    return 'levels' if isinstance(step, stages.FloatStage) else 'bits'


def make(net: stages.PackedNet) -> list:
    """Makes the layers of a net.

    Returns:
        Of :class:`Layer`, :class:`~bnn.deploy.stages.BitMaxPooling`,
        :class:`~bnn.deploy.stages.PixelSigns` and, for a max-pool of levels,
        :class:`~bnn.deploy.stages.FloatStage`.

    Raises:
        ~bnn.errors.UserError: If not all of it is in whole numbers: which
            layer, and why.
    """
    _check(net)
    steps, image = [], None
    for stage in net.stages:
        if stages.is_flatten(stage):
            # Bits and levels lie in the order (h, w, channels), pixels in
            # that of Flatten.
            if steps:
                image = stage.input_shape
        elif isinstance(stage, stages.Product):
            steps.append(_layer(stage, image))
            image = None
        else:
            steps.append(stage)
    return steps


def _check(net):
    first, last = net.products[0], net.products[-1]
    is_whitened = any(
        isinstance(stage, stages.FloatStage)
        and isinstance(stage.operation, operations.Whiten)
        for stage in net.stages)
    kind = 'pixels'
    for i, stage in enumerate(net.stages):
        if isinstance(stage, stages.Product):
            at_end = stage in (first, last)
            if stage.weights.bits == 32:
                raise _refusal(
                    stage.name, 'its weights are floats', at_end)
            if stage.operand == 'float':
                raise _refusal(stage.name, 'it takes floats', at_end)
            if stage.result == 'float' and stage is not last:
                raise _refusal(stage.name, 'it gives floats')
            kind = stage.result
        elif isinstance(stage, stages.FloatStage) and not (
                stages.is_flatten(stage)
                or stages.is_level_pooling(stage, kind)):
            following = next((one for one in net.stages[i:] if
                              isinstance(one, stages.Product)), None)
            name, words = stage.name, 'it computes with floats'
            if is_whitened:
                raise _refusal('whitening', words)
            if isinstance(stage.operation, operations.Rescale) and following:
                name = following.name
                words = ('its weights are floats'
                         if following.weights.bits == 32
                         else 'the pixels that it takes become floats')
            raise _refusal(name or type(stage.operation).__name__, words,
                           following is first)
    if last.result != 'float' or math.prod(last.output_shape) != len(
            net.class_names):
        raise _refusal(last.name, 'it does not end with the scores')


def _refusal(name, words, at_end=False):
    hint = ('. Where all layers between are of whole numbers, an export of '
            'its model with --int8-ends gives the first and the last 8 bits')
    return errors.UserError(
        f'{name} cannot go to C: {words}, and the C net is of whole numbers'
        f'{hint if at_end else ""}')


def _layer(product, image):
    weights = product.weights.rows()
    if image is not None and len(image) == 3:
        weights = weights.reshape(-1, *image).transpose(0, 2, 3, 1).reshape(
            len(weights), -1)
    offset, factor, largest = _operand(product)
    x_bits = largest.bit_length()
    layer = Layer(product=product, numbers=_geometry(product),
                  constant=numpy.zeros(len(weights), numpy.int64))
    if any(product.pad):
        _pad(layer, offset, factor, largest)
    is_bytes = x_bits > 8 or product.weights.bits * x_bits > _MAX_PLANES
    layer.numbers['copies_values'] = int(
        is_bytes or product.operand == 'levels'
        or product.operand == 'pixels' and product.is_convolution)
    if is_bytes:
        if max(map(abs, product.operand_range)) > 32767:
            raise errors.UserError(f'{product.name} cannot go to C: its '
                                   'levels exceed 16 bits')
        layer.arrays['bytes'] = weights
        layer.numbers.update(map=factor, offset=offset)
    else:
        low, step = product.weights.low, product.weights.step
        codes = (weights.astype(numpy.int64) - low) // step
        n, sums = codes.shape[1], codes.sum(axis=1)
        layer.constant = low * offset * n + step * offset * sums
        layer.numbers.update(
            w_bits=product.weights.bits, x_bits=x_bits, factor=step * factor,
            low=low * factor, gap=offset * low, gap_bits=offset * step)
        if (sums.max() * largest * step * factor
                + n * largest * abs(low) * factor
                + abs(layer.constant).max()) >= stages.NEVER:
            raise errors.UserError(
                f'{product.name} cannot go to C: its sums exceed 32 bits')
        layer.arrays['bits'] = _tiles(
            codes, product.weights.bits, product.groups)
    _finish(layer)
    return layer


def _geometry(product):
    channels, height, width = product.input_shape[0], 1, 1
    window = out = 1, 1
    if product.is_convolution:
        channels, height, width = product.input_shape
        window = product.weights.shape[2:]
        out = product.output_shape[1:]
    return {
        'channels': channels, 'height': height, 'width': width,
        'kh': window[0], 'kw': window[1], 'sy': product.stride[0],
        'sx': product.stride[1], 'py': product.pad[0], 'px': product.pad[1],
        'dy': product.dilate[0], 'dx': product.dilate[1],
        'out_height': out[0], 'out_width': out[1], 'groups': product.groups,
        'filters': product.weights.shape[0] // product.groups,
        'inputs': product.weights.fan_in}


def _operand(product):
    """Returns offset, factor and the largest u of an operand."""
    if product.operand == 'bits':
        return -1, 2, 1
    if product.operand == 'pixels':
        return product.pixel_map[1], product.pixel_map[0], 255
    low, high = product.operand_range
    return low, 1, high - low


def _pad(layer, offset, factor, largest):
    product = layer.product
    if product.pad_pixels is not None:
        layer.arrays['pad'] = product.pad_pixels
        return
    u, rest = divmod(product.pad_value - offset, factor)
    layer.has_gaps = bool(rest) or not 0 <= u <= largest
    if product.operand == 'bits':
        layer.numbers['pad_bit'] = int(not layer.has_gaps)
    elif not layer.has_gaps:
        layer.arrays['pad'] = numpy.full(
            layer.numbers['channels'], u,
            numpy.uint8 if largest < 256 else numpy.uint16)


def _tiles(codes, n_planes, groups):
    n = codes.shape[1]
    codes = _padded(codes, groups, 0)
    planes = codes[:, None] >> numpy.arange(n_planes)[:, None] & 1
    octets = numpy.zeros(
        (*planes.shape[:2], -(-n // 32) * 4), numpy.uint8)
    octets[..., :-(-n // 8)] = numpy.packbits(
        planes.astype(bool), axis=2, bitorder='little')
    words = octets.view('<u4').reshape(
        -1, TILE, n_planes, octets.shape[2] // 4)
    return numpy.ascontiguousarray(words.transpose(0, 2, 3, 1), numpy.uint32)


def _padded(values, groups, rest):
    """Pads the filters of each group to whole tiles."""
    n = len(values) // groups
    padded = numpy.full((groups, -(-n // TILE) * TILE, *values.shape[1:]),
                        rest, values.dtype)
    padded[:, :n] = values.reshape(groups, n, *values.shape[1:])
    return padded.reshape(-1, *values.shape[1:])


def _finish(layer):
    """Moves the constant into what follows the sums."""
    product = layer.product
    if product.thresholds is not None:
        limits = product.thresholds.astype(numpy.int64)
        constant = layer.constant.reshape(-1, *(1,) * (limits.ndim - 1))
        # A limit that all or none reach stays one.
        moved = numpy.where(
            (limits == stages.ALWAYS) | (limits == stages.NEVER), limits,
            numpy.clip(limits - constant, stages.ALWAYS, stages.NEVER))
        layer.arrays['thresholds'] = _padded(
            moved.astype(numpy.int32), product.groups, stages.NEVER)
        if product.result == 'levels':
            layer.numbers['levels'] = limits.shape[1]
    elif product.result == 'levels':
        addend = [int(a) + int(c) * int(m) for a, c, m in zip(
            product.addend, layer.constant, product.multiplier, strict=True)]
        if max(map(abs, addend)) >= 1 << 62:
            raise errors.UserError(
                f'{product.name} cannot go to C: it exceeds 64 bits')
        for name, values in (('multiplier', product.multiplier),
                             ('addend', addend)):
            layer.arrays[name] = _padded(
                numpy.array(values, numpy.int64), product.groups, 0)
        layer.numbers.update(shift=product.shift, least=product.low,
                             largest=product.high)
