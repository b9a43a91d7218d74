"""From what a net computes to a packed net."""
import dataclasses
import math

import numpy

from bnn import errors
from bnn.deploy import fold
from bnn.deploy import operations
from bnn.deploy import stages
from bnn.deploy import validation

_PRODUCTS = operations.Linear, operations.Convolution2D
# About the largest float32
_LARGEST = 3e38


def pack(net_operations, input_shape, rescale, class_names, facts=None,
         pad_pixels=False) -> stages.PackedNet:
    """Packs a net.

    Args:
        net_operations (list of ~bnn.deploy.operations.Operation): What it
            computes from the scaled pixels.
        input_shape (tuple of int): (channels, h, w) of an image.
        rescale (~bnn.deploy.operations.Rescale): How pixels were scaled.
        class_names (sequence of str): The classes.
        facts (dict or None): See :class:`~bnn.deploy.stages.PackedNet`.
        pad_pixels (bool): Whether 0 outside the image may be the nearest
            pixel, so that the first layer is of whole numbers.

    Returns:
        The net.

    Raises:
        ~bnn.errors.UserError: If it cannot be packed: which layer, and why.
    """
    rest = list(net_operations)
    for operation in rest:
        _check_finite(operation)
    packer = _Packer(tuple(input_shape), rescale, pad_pixels)
    if rescale.kind == 'binary':
        packer.add(stages.PixelSigns(
            input_shape=packer.shape, output_shape=packer.shape), 'bits')
    while rest:
        operation = rest.pop(0)
        if isinstance(operation, _PRODUCTS):
            del rest[:packer.add_product(operation, rest)]
        else:
            packer.add_operation(operation)
    if packer.kind != 'float' or len(packer.shape) != 1:
        raise errors.UserError(
            f'a net that ends with {packer.kind} of {packer.shape} cannot be '
            'packed: its scores are floats, one for each class')
    class_names = tuple(class_names)
    if packer.shape != (len(class_names),):
        raise errors.UserError(
            f'a net of {packer.shape[0]} scores cannot be packed with the '
            f'names of {len(class_names)} classes')
    net = stages.PackedNet(
        input_shape=tuple(input_shape), rescale=rescale,
        stages=tuple(packer.stages), class_names=class_names,
        facts=dict(facts or {}))
    try:  # What a file may not have is not written either.
        validation.check(net)
    except ValueError as e:
        raise errors.UserError(f'the net cannot be packed: {e}') from e
    return net


def _parameters(operation):
    """Yields the names and values of fields, and the arrays of weights."""
    for field in dataclasses.fields(operation):
        value = getattr(operation, field.name)
        if isinstance(value, operations.Weights):
            yield field.name, value.values
            yield field.name, value.scale
        else:
            yield field.name, value


def _check_finite(operation):
    for name, value in _parameters(operation):
        if isinstance(value, (numpy.ndarray, numpy.floating)) and not (
                numpy.isfinite(value).all()):
            raise errors.UserError(
                f'{operation.name} cannot be packed: its {name} is NaN or '
                'infinite')


def _float_bytes(operation):
    """Returns what the parameters and statistics take as float32.

    The scale of weights is computed from them, so it takes none.
    """
    scale = getattr(getattr(operation, 'W', None), 'scale', None)
    return sum(4 * value.size for _, value in _parameters(operation)
               if isinstance(value, numpy.ndarray) and value is not scale)


def _pack_weights(W, turn=None):
    """Packs the weights of a layer in as few bits as tell them apart.

    Args:
        W (~bnn.deploy.operations.Weights): The weights.
        turn (numpy.ndarray or None): +1 or -1 for each filter.

    Returns:
        ~bnn.deploy.stages.PackedWeights: The weights times ``turn``.
    """
    values = W.values
    if turn is not None:
        values = values * turn.astype(values.dtype).reshape(
            -1, *(1,) * (values.ndim - 1))
    if W.bits in (1, 32):
        return stages.PackedWeights.pack(values, W.bits)
    if (values % 2 != 0).all() and abs(values).max() < 2 ** W.bits:
        # DoReFa's: odd numbers
        return stages.PackedWeights.pack(
            values, W.bits, 1 - 2 ** W.bits, 2)
    # QNN's may have one level more than k bits tell apart.
    low = -2 ** (W.bits - 1)
    is_more = int(values.max(initial=0) >= -low)
    return stages.PackedWeights.pack(values, W.bits + is_more, low, 1)


class _Packer:
    """Stages so far, and what the last one gives.

    Attributes:
        stages (list): The stages.
        kind (str): Kind of the value.
        shape (tuple of int): Of an example.
    """

    def __init__(self, shape, rescale, pad_pixels):
        self.stages, self.kind, self.shape = [], 'pixels', shape
        self._input_shape, self._rescale = shape, rescale
        self._pad_pixels = pad_pixels
        self._step, self._range = 1., None  # of levels

    def add(self, stage, kind):
        """Adds a stage."""
        self.stages.append(stage)
        self.shape, self.kind = stage.output_shape, kind

    def add_operation(self, operation):
        """Adds an operation as it is."""
        kind = {operations.Sign: 'bits', operations.Quantize: 'levels'}.get(
            type(operation), 'float')
        if isinstance(operation, operations.Flatten):
            kind = self.kind
            if len(self.shape) == 1:
                return
        elif isinstance(operation, operations.MaxPooling2D) and (
                self.kind == 'bits'):
            self.add_pool(operation, numpy.zeros(self.shape[0], bool))
            return
        elif isinstance(operation, operations.MaxPooling2D) and (
                self.kind == 'levels'):
            kind = self.kind
        elif self.kind in ('bits', 'levels'):
            before = next((stage.name for stage in reversed(self.stages)
                           if stage.name), 'the pixels')
            raise errors.UserError(
                f'{operation.name or type(operation).__name__} behind '
                f'{before} cannot be packed: it takes floats, not '
                f'{self.kind}')
        else:
            self._to_float()
        self.add(stages.FloatStage(
            operation=operation, input_shape=self.shape,
            output_shape=tuple(operation.output_shape(self.shape))), kind)
        if isinstance(operation, operations.Quantize):
            self._set_levels(operation)

    def add_pool(self, pool, is_minimum):
        """Adds a max-pool of bits."""
        self.add(stages.BitMaxPooling(
            ksize=pool.ksize, stride=pool.stride, pad=pool.pad,
            cover_all=pool.cover_all, is_minimum=is_minimum,
            input_shape=self.shape,
            output_shape=tuple(pool.output_shape(self.shape))), 'bits')

    def _to_float(self):
        """Adds what makes floats of pixels."""
        if self.kind == 'pixels':
            flatten, self.stages = self.stages, []
            self.add(stages.FloatStage(
                operation=self._rescale, input_shape=self._input_shape,
                output_shape=self._input_shape), 'float')
            for stage in flatten:
                self.add(stage, 'float')

    def _set_levels(self, quantize):
        self._step = 1 / quantize.n
        self._range = tuple(
            round(v * quantize.n) for v in (quantize.low, quantize.high))

    def add_product(self, operation, following):
        """Adds a layer with what of the following is folded into it.

        Returns:
            int: How many operations that were.
        """
        geometry = self._geometry(operation)
        if geometry is None:
            self._to_float()
            geometry = self._geometry(operation)
        shape = self._output_shape(operation, geometry['groups'])
        W = operation.W
        layer = {'name': operation.name, 'operand': self.kind,
                 'input_shape': self.shape, 'output_shape': shape, **geometry}
        multiplier, addend = layer['pixel_map']
        layer['operand_range'] = {
            'bits': (-1, 1), 'pixels': (addend, 255 * multiplier + addend),
            'levels': self._range, 'float': (0, 0)}[self.kind]
        bound = None
        if self.kind != 'float' and W.bits < 32:
            bound = abs(W.values.astype(numpy.int64)).reshape(
                len(W.values), -1).sum(axis=1) * max(
                    map(abs, layer['operand_range']))
            if bound.max() >= stages.NEVER:
                raise errors.UserError(f'{operation.name} cannot be packed: '
                                       'its sums exceed 32 bits')
        reach = bound
        if bound is None:
            reach = numpy.full(len(W.values), _LARGEST)

        n_folded = fold.count(operation, following, shape, self.kind)
        factor, offset = self._affine(operation, layer['pixel_map'])
        chain = fold.Chain(factor, offset, following[:n_folded])
        if not n_folded:
            n_folded = _count_affine(following)
            chain = fold.Chain(factor, offset, following[:n_folded])
            ends = chain.ends()
            layer.update(
                result='float', weights=_pack_weights(W),
                scale=(ends[1] - ends[0]).astype(numpy.float32),
                offset=ends[0].astype(numpy.float32))
        elif isinstance(chain.operations[-1], operations.Quantize):
            self._set_levels(chain.operations[-1])
            layer.update(_levels(W, chain, bound, *self._range))
        else:
            turn, turned = _turn(chain, reach)
            layer.update(
                result='bits', weights=_pack_weights(W, turn),
                thresholds=fold.float_threshold(turned, len(turn))
                if bound is None else fold.threshold(turned, bound, 0.))
        layer['float_bytes'] = sum(map(
            _float_bytes, [operation, *chain.operations]))
        self.add(stages.Product(**layer), layer['result'])
        for i, one in enumerate(chain.operations):
            if isinstance(one, operations.MaxPooling2D):
                # The maximum is that of the largest sum where it rises with
                # the sum up to here, else of the least; its bit is OR where
                # the whole rises, else AND, or the other way round.
                self.add_pool(
                    one, chain.rises(reach, i) != chain.rises(reach))
            elif isinstance(one, operations.Flatten):
                self.add_operation(one)
        return n_folded

    def _geometry(self, operation):
        """Says which windows a layer goes over, and with which pixels.

        Returns:
            dict: Fields of a :class:`~bnn.deploy.stages.Product`; ``None``
            where the layer takes no pixels, but floats.
        """
        fields = {'groups': 1, 'pad': (0, 0), 'pad_value': 0,
                  'pixel_map': (1, 0)}
        if isinstance(operation, operations.Convolution2D):
            fields.update({name: getattr(operation, name) for name in (
                'stride', 'pad', 'dilate', 'pad_value', 'groups')})
        if self.kind == 'levels' and any(fields['pad']) and (
                fields['pad_value'] and self._step != 1):
            # A file says 0 or 1 of whole numbers, of which 1 is the step.
            raise errors.UserError(
                f'{operation.name} cannot be packed: it pads k-bit '
                'activations with 1; pad them with 0')
        if self.kind != 'pixels':
            return fields
        factor, offset = self._rescale.affine(self._input_shape[0])
        if operation.W.bits == 32 or (factor != factor[0]).any():
            return None
        if any(fields['pad']):
            if self._rescale.kind == 'signed':
                fields['pixel_map'] = 2, -255
            elif offset.any():
                if not self._pad_pixels:
                    return None
                fields['pad_pixels'] = numpy.clip(numpy.rint(
                    -offset / factor), 0, 255).astype(numpy.uint8)
            if fields['pad_value']:
                return None
        return fields

    def _output_shape(self, operation, groups):
        """Returns the shape of a layer's result, or refuses the layer."""
        shape = tuple(operation.output_shape(self.shape))
        W = operation.W.values
        if isinstance(operation, operations.Linear):
            fits = W.shape[1] == math.prod(self.shape)
        else:
            fits = W.shape[1] * groups == self.shape[0] and min(shape) >= 1
        if not fits:
            raise errors.UserError(
                f'{operation.name} cannot be packed: it does not take '
                + 'x'.join(map(str, self.shape)))
        return shape

    def _affine(self, operation, pixel_map):
        """Returns factor and offset that make a layer's result of its sums.

        Returns:
            tuple: Two float64 (filters,).
        """
        factor = operation.W.scales()
        offset = numpy.zeros(len(factor))
        if self.kind == 'levels':
            factor = factor * self._step
        elif self.kind == 'pixels':
            scale, shift = self._rescale.affine(self._input_shape[0])
            multiplier, addend = pixel_map
            # x = scale p + shift, q = multiplier p + addend
            shift = shift - scale * addend / multiplier
            if pixel_map == (2, -255):
                shift = numpy.zeros_like(shift)  # exactly
            filters = operation.W.values.astype(numpy.float64).reshape(
                len(factor), -1)
            groups = getattr(operation, 'groups', 1)
            n = filters.shape[1] * groups // len(shift)
            offset = factor * numpy.concatenate([
                some @ numpy.repeat(part, n) for some, part in zip(
                    numpy.split(filters, groups), numpy.split(shift, groups),
                    strict=True)])
            factor = factor * (scale[0] / multiplier)
        if operation.b is not None:
            offset = offset + operation.b.astype(numpy.float64)
        return factor, offset


def _count_affine(following):
    """Counts the biases and normalizations in front that no sign follows."""
    if any(isinstance(one, fold.ENDS) for one in following):
        return 0
    n = 0
    while n < len(following) and isinstance(following[n], (
            operations.Bias, operations.BatchNormalization)):
        n += 1
    return n


def _turn(chain, reach):
    """Makes a chain rise.

    Returns:
        tuple: +1 for each filter that rises with its sum, else -1, and the
        chain of sums of filters times that.
    """
    turn = numpy.where(chain.rises(reach), 1, -1)
    return turn, lambda s: chain(s * turn)


def _levels(W, chain, bound, low, high):
    """Returns the fields of a layer that gives levels."""
    fields = {'result': 'levels', 'low': low, 'high': high}
    if high - low > fold.MAX_THRESHOLDS:
        return {**fields, 'weights': _pack_weights(W),
                **fold.multiplier(chain, bound)}
    turn, turned = _turn(chain, bound)
    return {
        **fields, 'weights': _pack_weights(W, turn),
        'thresholds': numpy.stack([
            fold.threshold(turned, bound, (level - .5)
                           / chain.operations[-1].n)
            for level in range(low + 1, high + 1)], axis=1)}
