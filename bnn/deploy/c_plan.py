"""What a packed net is in C: layers of whole numbers, and what they take.

A sum of a layer is over weights ``low + step c`` and operands
``offset + map u``, both c and u of a few bits, not negative.  It is

    map step A + map low U + constant

with ``A`` the sum of ``c u``, of which XNOR and popcount are the case of one
bit, and ``U`` the sum of ``u``, of the image alone.  The constant goes into
thresholds.  Weights of many bits are bytes instead.
"""
import dataclasses
import math

import numpy

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import packed

TILE = 32
# So many popcounts of a word take as long as products of its bytes.
_MAX_PLANES = 32
_NEVER = packed.NEVER


@dataclasses.dataclass(kw_only=True)
class Layer:

    """A layer in C; see ``struct bnn_layer`` of the source.

    Attributes:
        product (~bnn.deploy.packed.Product): What it was.
        geometry (dict): Fields of the struct.
        fields (dict): More of them, for planes or bytes.
        bits (numpy.ndarray or None): Weights, uint32 (tiles, planes, words,
            TILE).
        bytes (numpy.ndarray or None): Weights, int16 (filters, inputs).
        constant (numpy.ndarray): int64 (filters,).
        pad (numpy.ndarray or None): For each channel, u outside the image.
        pad_bit (int): The same for bits.
        has_gaps (bool): Whether outside the image is no u.
        is_whole (bool): Whether it takes its operand as it lies.
        thresholds (numpy.ndarray or None): int32, padded to tiles.
        multiplier, addend (numpy.ndarray or None): int64, padded to tiles.
    """

    product: packed.Product
    geometry: dict
    fields: dict
    bits: numpy.ndarray = None
    bytes: numpy.ndarray = None
    constant: numpy.ndarray = None
    pad: numpy.ndarray = None
    pad_bit: int = 0
    has_gaps: bool = False
    is_whole: bool = False
    thresholds: numpy.ndarray = None
    multiplier: numpy.ndarray = None
    addend: numpy.ndarray = None

    @property
    def takes_windows(self):
        """bool: Whether bits or values are copied to a window."""
        return not self.is_whole or self.bits is None or (
            self.product.operand == 'levels')

    @property
    def flash(self):
        """int: Bytes of constants, with words of 32 bits."""
        narrow = 1
        if self.bytes is not None and not fits_bytes(self.bytes):
            narrow = 2
        size = sum(array.nbytes for array in (
            self.bits, self.thresholds, self.multiplier, self.addend)
            if array is not None)
        size += 0 if self.bytes is None else self.bytes.size * narrow
        size += 0 if self.pad is None else len(self.pad)
        if self.product.result == 'float':
            size += 12 * len(self.constant)
        return size


def fits_bytes(values):
    """Tells whether whole numbers are int8."""
    return values.min() >= -128 and values.max() <= 127


def plan(net):
    """Makes the layers of a net.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Returns:
        list: Of :class:`Layer`, :class:`~bnn.deploy.packed.BitMaxPooling`
        and :class:`~bnn.deploy.packed.PixelSigns`.

    Raises:
        ~bnn.errors.UserError: If not all of it is in whole numbers: which
            layer, and why.

    """
    _check(net)
    steps, image = [], None
    for stage in net.stages:
        if isinstance(stage, packed.FloatStage):
            # Flatten, of the order (h, w, channels); pixels lie otherwise.
            if steps:
                image = stage.input_shape
        elif isinstance(stage, packed.Product):
            steps.append(_layer(stage, image))
            image = None
        else:
            steps.append(stage)
    return steps


def _check(net):
    last = net.products[-1]
    for i, stage in enumerate(net.stages):
        if isinstance(stage, packed.Product):
            at_end = stage in (net.products[0], last)
            if stage.weights.bits == 32:
                raise _refusal(
                    stage.name, 'its weights are floats', at_end)
            if stage.operand == 'float':
                raise _refusal(stage.name, 'it takes floats', at_end)
            if stage.result == 'float' and stage is not last:
                raise _refusal(stage.name, 'it gives floats', False)
        elif isinstance(stage, packed.FloatStage) and not isinstance(
                stage.operation, operations.Flatten):
            following = [one for one in net.stages[i:] if
                         isinstance(one, packed.Product)]
            name, words = stage.name, 'it computes with floats'
            if isinstance(stage.operation, operations.Rescale) and following:
                name = following[0].name
                words = ('its weights are floats'
                         if following[0].weights.bits == 32
                         else 'the pixels that it takes become floats')
            raise _refusal(
                name or type(stage.operation).__name__, words,
                bool(following) and following[0] is net.products[0])
    if last.result != 'float' or math.prod(last.output_shape) != len(
            net.class_names):
        raise _refusal(last.name, 'it does not end with the scores', False)


def _refusal(name, words, at_end):
    return errors.UserError(
        '%s cannot go to C: %s, and the C net is of whole numbers%s' % (
            name, words, '. --int8-ends makes 8-bit numbers of the first and '
            'the last layer' if at_end else ''))


def _layer(product, image):
    weights = product.weights.rows()
    if image is not None and len(image) == 3:
        channels, height, width = image
        weights = weights.reshape(-1, *image).transpose(0, 2, 3, 1).reshape(
            len(weights), -1)
    geometry = _geometry(product)
    offset, factor, largest = _operand(product)
    x_bits = largest.bit_length()
    layer = Layer(product=product, geometry=geometry, fields={},
                  constant=numpy.zeros(len(weights), numpy.int64))
    layer.is_whole = not product.is_convolution
    if any(product.pad):
        _pad(layer, offset, factor, largest)
    if x_bits > 8 or product.weights.bits * x_bits > _MAX_PLANES:
        if max(map(abs, product.operand_range)) > 32767:
            raise errors.UserError(
                '%s cannot go to C: its levels exceed 16 bits'
                % product.name)
        layer.bytes = weights
        layer.fields.update(map=factor, offset=offset)
    else:
        low, step = product.weights.low, product.weights.step
        codes = (weights.astype(numpy.int64) - low) // step
        n, sums = codes.shape[1], codes.sum(axis=1)
        layer.constant = low * offset * n + step * offset * sums
        layer.fields.update(
            w_bits=product.weights.bits, x_bits=x_bits, factor=step * factor,
            low=low * factor, gap=offset * low, gap_bits=offset * step)
        if (sums.max() * largest * step * factor
                + n * largest * abs(low) * factor
                + abs(layer.constant).max()) >= _NEVER:
            raise errors.UserError(
                '%s cannot go to C: its sums exceed 32 bits' % product.name)
        layer.bits = _tiles(codes, product.weights.bits, product.groups)
    _ends(layer)
    return layer


def _geometry(product):
    if product.is_convolution:
        channels, height, width = product.input_shape
        window = product.weights.shape[2:]
        out = product.output_shape[1:]
    else:
        channels, height, width = product.input_shape[0], 1, 1
        window = out = 1, 1
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
        layer.pad = product.pad_pixels.astype(numpy.int64)
        return
    u, rest = divmod(product.pad_value - offset, factor)
    layer.has_gaps = bool(rest) or not 0 <= u <= largest
    if product.operand == 'bits':
        layer.pad_bit = int(not layer.has_gaps)
    elif not layer.has_gaps:
        layer.pad = numpy.full(layer.geometry['channels'], u, numpy.int64)


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


def _ends(layer):
    """Brings what follows the sums behind the constant."""
    product = layer.product
    if product.thresholds is not None:
        limits = product.thresholds.astype(numpy.int64)
        constant = layer.constant.reshape(-1, *(1,) * (limits.ndim - 1))
        # A limit that all or none reach stays one.
        moved = numpy.where(
            (limits == packed.ALWAYS) | (limits == _NEVER), limits,
            numpy.clip(limits - constant, packed.ALWAYS, _NEVER))
        layer.thresholds = _padded(
            moved.astype(numpy.int32), product.groups, _NEVER)
    elif product.result == 'levels':
        addend = [int(a) + int(c) * int(m) for a, c, m in zip(
            product.addend, layer.constant, product.multiplier, strict=True)]
        if max(map(abs, addend)) >= 1 << 62:
            raise errors.UserError(
                '%s cannot go to C: it exceeds 64 bits' % product.name)
        layer.multiplier, layer.addend = (
            _padded(numpy.array(values, numpy.int64), product.groups, 0)
            for values in (product.multiplier, addend))
