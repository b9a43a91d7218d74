"""How a layer is computed in whole numbers, and what is folded into it."""
import numpy

from bnn.deploy import folding
from bnn.deploy import operations
from bnn.deploy import parameters

# More levels than these are not told apart by thresholds: they would take
# more room than the weights.
MAX_THRESHOLDS = 16
# What makes bits or levels
ENDS = operations.Sign, operations.Quantize


def geometry(operation, kind, rescale, n_channels, pad_pixels):
    """Says which windows a layer goes over, and with which pixels.

    Args:
        operation (~bnn.deploy.operations.Operation): The layer.
        kind (str): Of its operand.
        rescale (~bnn.deploy.operations.Rescale): How pixels were scaled.
        n_channels (int): Channels of an image.
        pad_pixels (bool): See :func:`bnn.deploy.packing.pack`.

    Returns:
        dict: Fields of a :class:`~bnn.deploy.packed.Product`; ``None`` where
        the layer takes no pixels, but floats.

    """
    fields = {'groups': 1, 'pad': (0, 0), 'pad_value': 0,
              'pixel_map': (1, 0)}
    if isinstance(operation, operations.Convolution2D):
        fields.update({name: getattr(operation, name) for name in (
            'stride', 'pad', 'dilate', 'pad_value', 'groups')})
    if kind == 'pixels':
        factor, offset = rescale.affine(n_channels)
        if operation.W.bits == 32 or (factor != factor[0]).any():
            return None
        if any(fields['pad']) and rescale.kind == 'signed':
            fields['pixel_map'] = 2, -255
        elif any(fields['pad']) and offset.any():
            if not pad_pixels:
                return None
            fields['pad_pixels'] = numpy.clip(numpy.rint(
                -offset / factor), 0, 255).astype(numpy.uint8)
        if any(fields['pad']) and fields['pad_value']:
            return None
    return fields


def affine(operation, kind, step, rescale, n_channels, pixel_map):
    """Returns factor and offset that make a layer's result of its sums.

    Args:
        operation, kind, rescale, n_channels: See :func:`geometry`.
        step (float): What a level is worth.
        pixel_map (tuple of int): See :class:`~bnn.deploy.packed.Product`.

    Returns:
        tuple: Two float64 (filters,).

    """
    factor = operation.W.scales()
    offset = numpy.zeros(len(factor))
    if kind == 'levels':
        factor = factor * step
    elif kind == 'pixels':
        scale, shift = rescale.affine(n_channels)
        multiplier, addend = pixel_map
        # x = scale p + shift, q = multiplier p + addend
        shift = shift - scale * addend / multiplier
        if pixel_map == (2, -255):
            shift = numpy.zeros_like(shift)  # exactly
        by_channel = operation.W.values.astype(numpy.float64).reshape(
            len(factor), -1)
        groups = getattr(operation, 'groups', 1)
        n = by_channel.shape[1] * groups // len(shift)
        offset = factor * numpy.concatenate([
            filters @ numpy.repeat(part, n) for filters, part in zip(
                numpy.split(by_channel, groups), numpy.split(shift, groups),
                strict=True)])
        factor = factor * (scale[0] / multiplier)
    if operation.b is not None:
        offset = offset + operation.b.astype(numpy.float64)
    return factor, offset


def end(operation, following, shape, kind):
    """Finds what of the following can be folded into a layer.

    Args:
        operation, kind: See :func:`geometry`.
        following (list of ~bnn.deploy.operations.Operation): What comes
            behind it.
        shape (tuple of int): Of its result.

    Returns:
        int: How many operations make bits or levels of its sums, or 0.

    """
    n_pools = 0
    for i, one in enumerate(following):
        parameters.check(one)
        if isinstance(one, ENDS):
            if isinstance(one, operations.Quantize):
                n = round((one.high - one.low) * one.n)
                if n_pools or kind == 'float' or (
                        operation.W.bits == 32) or (
                            n > MAX_THRESHOLDS
                            and not folding.is_affine(following[:i], one)):
                    return 0
            return i + 1
        if not folding.is_monotone(one):
            return 0
        if isinstance(one, operations.Flatten) and len(shape) > 1:
            # Then each pixel has a channel of its own, as a rule.
            if not any(isinstance(after, ENDS)
                       for after in following[i + 1:i + 2]):
                return 0
        n_pools += isinstance(one, operations.MaxPooling2D)
    return 0
