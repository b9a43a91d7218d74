"""From what a net computes to a packed net."""
import math

import numpy

from bnn import errors
from bnn.deploy import folding
from bnn.deploy import layers
from bnn.deploy import operations
from bnn.deploy import packed
from bnn.deploy import parameters

_PRODUCTS = operations.Linear, operations.Convolution2D


def pack(net_operations, input_shape, rescale, class_names, facts=None,
         pad_pixels=False):
    """Packs a net.

    Args:
        net_operations (list of ~bnn.deploy.operations.Operation): What it
            computes from the scaled pixels.
        input_shape (tuple of int): (channels, h, w) of an image.
        rescale (~bnn.deploy.operations.Rescale): How pixels were scaled.
        class_names (sequence of str): The classes.
        facts (dict or None): See :class:`~bnn.deploy.packed.PackedNet`.
        pad_pixels (bool): Whether 0 outside the image may be the nearest
            pixel, so that the first layer is of whole numbers.

    Returns:
        ~bnn.deploy.packed.PackedNet: The net.

    Raises:
        ~bnn.errors.UserError: If it cannot be packed: which layer, and why.

    """
    packer = _Packer(tuple(input_shape), rescale, pad_pixels)
    rest = list(net_operations)
    if rescale.kind == 'binary':
        packer.add(packed.PixelSigns(
            name='', input_shape=packer.shape, output_shape=packer.shape))
        packer.kind = 'bits'
    while rest:
        operation = rest[0]
        parameters.check(operation)
        n_used = 1
        if isinstance(operation, _PRODUCTS):
            n_used = packer.add_product(operation, rest[1:])
        else:
            packer.add_operation(operation)
        del rest[:n_used]
    if packer.kind != 'float' or len(packer.shape) != 1:
        raise errors.UserError(
            'a net that ends with %s of %s cannot be packed: its scores are '
            'floats, one for each class' % (packer.kind, packer.shape))
    class_names = tuple(class_names)
    if packer.shape != (len(class_names),):
        raise errors.UserError(
            'a net of %d scores cannot be packed with the names of %d classes'
            % (*packer.shape, len(class_names)))
    return packed.PackedNet(
        input_shape=tuple(input_shape), rescale=rescale,
        stages=tuple(packer.stages), class_names=class_names,
        facts=dict(facts or {}))


class _Packer(object):
    """Stages so far, and what the last one gives.

    Attributes:
        kind (str): Of the value.
        step (float): What a level is worth.
        shape (tuple of int): Of an example.

    """

    def __init__(self, shape, rescale, pad_pixels):
        self.stages = []
        self.kind, self.step, self.shape = 'pixels', 1., shape
        self._rescale = rescale
        self._pad_pixels = pad_pixels
        self._input_shape, self._n_channels = shape, shape[0]
        self._range = None

    def add(self, stage):
        self.stages.append(stage)
        self.shape = stage.output_shape

    def add_operation(self, operation):
        """Adds an operation as it is."""
        if not isinstance(operation, operations.Flatten):
            if self.kind in ('bits', 'levels'):
                raise errors.UserError(
                    '%s behind %s cannot be packed: it takes floats, not %s'
                    % (operation.name or type(operation).__name__, next(
                        (stage.name for stage in reversed(self.stages)
                         if stage.name), 'the pixels'), self.kind))
            self.to_float()
        elif len(self.shape) == 1:
            return
        self.add(packed.FloatStage(
            operation=operation, input_shape=self.shape,
            output_shape=tuple(operation.output_shape(self.shape))))
        if isinstance(operation, operations.Sign):
            self.kind = 'bits'
        elif isinstance(operation, operations.Quantize):
            self._has_levels(operation)

    def to_float(self):
        """Adds what makes floats of pixels."""
        if self.kind == 'pixels':
            self.kind = 'float'
            flatten = self.stages[:]  # of pixels, if anything
            self.stages, self.shape = [], self._input_shape
            self.add(packed.FloatStage(
                operation=self._rescale, input_shape=self.shape,
                output_shape=self.shape))
            for stage in flatten:
                self.add(stage)

    def add_product(self, operation, following):
        """Adds a layer with what of the following is folded into it.

        Returns:
            int: How many operations that were.

        """
        geometry = self._geometry(operation)
        if geometry is None:
            self.to_float()
            geometry = self._geometry(operation)
        shape = tuple(operation.output_shape(self.shape))
        fan_in = math.prod(operation.W.values.shape[1:])
        if (fan_in * geometry['groups'] != math.prod(self.shape)
                if isinstance(operation, operations.Linear) else
                operation.W.values.shape[1] * geometry['groups']
                != self.shape[0] or min(shape) < 1):
            raise errors.UserError(
                '%s cannot be packed: it does not take %s' % (
                    operation.name, 'x'.join(map(str, self.shape))))
        layer = {
            'name': operation.name, 'operand': self.kind,
            'input_shape': self.shape, 'output_shape': shape}
        layer.update(geometry)
        factor, offset = layers.affine(
            operation, self.kind, self.step, self._rescale, self._n_channels,
            layer['pixel_map'])
        values, W = operation.W.values, operation.W
        multiplier, addend = layer['pixel_map']
        layer['operand_range'] = {
            'bits': (-1, 1), 'pixels': (addend, 255 * multiplier + addend),
            'levels': self._range, 'float': (0, 0)}[self.kind]
        largest = max(map(abs, layer['operand_range']))
        bound = None
        if self.kind != 'float' and W.bits < 32:
            bound = abs(values.astype(numpy.int64)).reshape(
                len(values), -1).sum(axis=1) * largest
            if bound.max() >= packed.NEVER:
                raise errors.UserError(
                    '%s cannot be packed: its sums exceed 32 bits'
                    % operation.name)

        end = layers.end(operation, following, shape, self.kind)
        chain = folding.Chain(factor, offset, following[:end])
        if end and isinstance(following[end - 1], operations.Quantize):
            kind = self._add_levels(layer, W, chain, bound)
        elif end:
            kind = self._add_bits(layer, W, chain, bound)
        else:
            end, kind = self._add_float(layer, W, chain, following)
        self._finish(layer, operation, following[:end])
        self.kind = kind
        for one in following[:end]:
            if isinstance(one, operations.MaxPooling2D):
                self._add_pooling(one, following[:end], chain, bound)
            elif isinstance(one, operations.Flatten) and len(self.shape) > 1:
                self.add_operation(one)
        return 1 + end

    def _has_levels(self, quantize):
        self.kind, self.step = 'levels', 1 / quantize.n
        self._range = tuple(
            round(v * quantize.n) for v in (quantize.low, quantize.high))

    def _geometry(self, operation):
        return layers.geometry(operation, self.kind, self._rescale,
                               self._n_channels, self._pad_pixels)

    def _turned(self, chain, bound, filters):
        """Returns +1 for each filter that rises with its sum, else -1."""
        if bound is None:
            bound = numpy.full(filters, 3e38)
        return numpy.where(chain.rises(-bound, bound), 1, -1)

    def _add_bits(self, layer, W, chain, bound):
        turn = self._turned(chain, bound, len(W.values))
        if bound is None:
            thresholds = folding.float_threshold(
                lambda s: chain(s * turn), len(turn))
        else:
            thresholds = folding.threshold(
                lambda s: chain(s * turn), -bound, bound, 0.)
        layer.update(result='bits', thresholds=thresholds,
                     weights=parameters.pack_weights(W, turn))
        return 'bits'

    def _add_levels(self, layer, W, chain, bound):
        quantize = chain.operations[-1]
        low, high = (round(v * quantize.n)
                     for v in (quantize.low, quantize.high))
        layer.update(result='levels', low=low, high=high)
        if high - low > layers.MAX_THRESHOLDS:
            layer.update(
                weights=parameters.pack_weights(W, 1),
                **folding.multiplier(chain, bound))
            self._has_levels(quantize)
            return 'levels'
        turn = self._turned(chain, bound, len(W.values))
        layer.update(
            weights=parameters.pack_weights(W, turn), thresholds=numpy.stack([
                folding.threshold(
                    lambda s: chain(s * turn), -bound, bound,
                    (level - .5) / quantize.n)
                for level in range(low + 1, high + 1)], axis=1))
        self._has_levels(quantize)
        return 'levels'

    def _add_float(self, layer, W, chain, following):
        """Adds the layer with the biases and normalizations behind it."""
        n = 0
        while n < len(following) and isinstance(following[n], (
                operations.Bias, operations.BatchNormalization)) and not any(
                    isinstance(one, layers.ENDS) for one in following):
            n += 1
        ends = folding.Chain(chain.factor, chain.offset, following[:n])(
            numpy.array([[0.], [1.]]))
        layer.update(
            result='float', weights=parameters.pack_weights(W, 1),
            scale=(ends[1] - ends[0]).astype(numpy.float32),
            offset=ends[0].astype(numpy.float32))
        return n, 'float'

    def _finish(self, layer, operation, folded):
        layer['float_bytes'] = sum(map(
            parameters.float_bytes, [operation, *folded]))
        self.add(packed.Product(**layer))

    def _add_pooling(self, pool, folded, chain, bound):
        if bound is None:
            bound = numpy.full(len(chain.factor), 3e38)
        # The maximum is that of the largest sum where it rises with the sum
        # up to here, else of the least; the bit of it is OR where the whole
        # rises, else AND, or the other way round.
        before = chain.rises(-bound, bound, folded.index(pool))
        self.add(packed.BitMaxPooling(
            ksize=pool.ksize, stride=pool.stride, pad=pool.pad,
            cover_all=pool.cover_all,
            is_minimum=before != chain.rises(-bound, bound),
            input_shape=self.shape,
            output_shape=tuple(pool.output_shape(self.shape))))
