"""What is stored of a packed net: a list of stages.

A value between two stages is of one of four kinds: ``'pixels'``, uint8;
``'bits'``, +1 and -1; ``'levels'``, whole numbers; ``'float'``, float32.
"""
import dataclasses
import functools
import math

import numpy

from bnn.deploy import operations

# Thresholds that every sum reaches, and none
ALWAYS, NEVER = -2 ** 31, 2 ** 31 - 1


@dataclasses.dataclass(frozen=True, eq=False)
class PackedWeights:
    """The weights of a layer, ``bits`` each.

    A weight is ``low + step * code``.  Its code takes ``bits`` bits, the
    least one first, weight after weight; each filter starts at a byte.  The
    weights of a filter are in the order (kh, kw, channels).

    Attributes:
        bits (int): Bits of a code; 32: ``data`` are the weights themselves.
        shape (tuple of int): (filters, inputs), or (filters, channels /
            groups, kh, kw).
        data (numpy.ndarray): uint8 (filters, bytes), or float32 (filters,
            weights).
        low, step (int): -1 and 2 for +-1.
    """

    bits: int
    shape: tuple
    data: numpy.ndarray
    low: int = -1
    step: int = 2

    @classmethod
    def pack(cls, values, bits, low=-1, step=2):
        """Packs weights in Chainer's order, that of ``shape``."""
        rows = numpy.moveaxis(values, 1, -1).reshape(len(values), -1)
        if bits == 32:
            return cls(32, values.shape, rows.astype(numpy.float32), 0, 1)
        codes = ((rows.astype(numpy.int64) - low) // step).astype(
            numpy.uint16)[..., None]
        planes = (codes >> numpy.arange(bits, dtype=numpy.uint16) & 1).astype(
            bool).reshape(len(rows), -1)
        return cls(bits, values.shape, numpy.packbits(
            planes, axis=1, bitorder='little'), low, step)

    @property
    def fan_in(self):
        """int: Weights of a filter."""
        return math.prod(self.shape[1:])

    def rows(self):
        """Returns the weights in the order of storage.

        Returns:
            numpy.ndarray: (filters, weights), int16, or float32 for 32 bits.
        """
        if self.bits == 32:
            return self.data
        planes = numpy.unpackbits(
            self.data, axis=1, count=self.fan_in * self.bits,
            bitorder='little')
        if self.bits == 1:
            codes = planes.astype(numpy.int16)
        else:
            codes = planes.reshape(len(self.data), -1, self.bits) @ (
                1 << numpy.arange(self.bits, dtype=numpy.int16))
        return (self.low + self.step * codes).astype(numpy.int16)

    def values(self):
        """Returns the weights in Chainer's order, that of ``shape``."""
        last = len(self.shape) - 1
        return numpy.moveaxis(self.rows().reshape(
            self.shape[0], *self.shape[2:], self.shape[1]), last, 1)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Product:
    r"""A linear layer or a convolution, and what is folded into its result.

    The sum of each output is

    .. math::

        s = \sum_i w_i q_i

    over whole numbers, exactly; over a ``'float'`` operand or float weights
    in float32.  The q of an operand is +-1 for bits, the level, the float,
    and for a pixel p ``pixel_map[0] p + pixel_map[1]``.  The result is

    - ``'bits'``: +1 where ``s >= thresholds[filter]``, else -1;
    - ``'levels'``: ``low`` + the number of ``thresholds[filter, :]`` that
      are <= s; or, where there are ``multiplier``, ``addend`` and ``shift``,
      ``clip((s multiplier + addend) >> shift, low, high)``;
    - ``'float'``: ``s scale[filter] + offset[filter]``, float32.

    Attributes:
        name (str): The link, ``'block2/conv'``.
        operand, result (str): Kinds of value.
        input_shape, output_shape (tuple of int): Of an example: (channels,
            h, w) or (n,).
        weights (PackedWeights): Of a linear layer (filters, inputs), else of
            a convolution.
        stride, pad, dilate (tuple of int): Of a convolution, (h, w).
        pad_value (int): What q is outside the image: 0 or 1.
        groups (int): Groups of channels.
        pixel_map (tuple of int): Factor and offset.
        pad_pixels (numpy.ndarray or None): uint8 (channels,): the pixels
            outside the image, in place of ``pad_value``.
        thresholds (numpy.ndarray or None): int32, or float32 if the sum is;
            (filters,) or for levels (filters, n), rising.
        low, high (int): Least and largest level.
        operand_range (tuple of int): Least and largest q; of floats (0, 0).
        multiplier, addend (numpy.ndarray or None): int64 (filters,).
        shift (int): Bits.
        scale, offset (numpy.ndarray or None): float32 (filters,).
        float_bytes (int): What the parameters and statistics of the layer
            take as float32, those folded into it included.
    """

    name: str
    operand: str
    result: str
    input_shape: tuple
    output_shape: tuple
    weights: PackedWeights
    stride: tuple = (1, 1)
    pad: tuple = (0, 0)
    dilate: tuple = (1, 1)
    pad_value: int = 0
    groups: int = 1
    pixel_map: tuple = (1, 0)
    pad_pixels: numpy.ndarray = None
    thresholds: numpy.ndarray = None
    low: int = 0
    high: int = 0
    multiplier: numpy.ndarray = None
    addend: numpy.ndarray = None
    shift: int = 0
    scale: numpy.ndarray = None
    offset: numpy.ndarray = None
    operand_range: tuple = (0, 0)
    float_bytes: int = 0

    @property
    def largest_sum(self):
        """int: What the sums of whole numbers do not exceed."""
        largest = max(map(abs, self.operand_range))
        if self.pad_pixels is not None:
            largest = max(largest, 255)
        return int(abs(self.weights.rows().astype(numpy.int64)).sum(
            axis=1).max(initial=0)) * largest

    @property
    def is_convolution(self):
        """bool: Whether the layer goes over windows."""
        return len(self.weights.shape) == 4

    @property
    def is_integer(self):
        """bool: Whether the sum is one of whole numbers."""
        return self.operand != 'float' and self.weights.bits < 32

    @property
    def nbytes(self):
        """int: Bytes of the weights and all that is folded."""
        return sum(value.nbytes for value in (
            self.weights.data, *vars(self).values())
            if isinstance(value, numpy.ndarray))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class BitMaxPooling:
    """Max-pool of the values that the bits were made of, on the bits.

    The result is the OR of the bits in a window where a larger value makes
    +1, and the AND where it makes -1 (``is_minimum``).

    Attributes:
        ksize, stride, pad, cover_all: As of
            :class:`~bnn.deploy.operations.MaxPooling2D`.
        is_minimum (numpy.ndarray): bool (channels,).
        input_shape, output_shape (tuple of int): (channels, h, w).
    """

    name: str = ''
    ksize: tuple
    stride: tuple
    pad: tuple
    cover_all: bool
    is_minimum: numpy.ndarray
    input_shape: tuple
    output_shape: tuple

    @property
    def pool(self) -> operations.MaxPooling2D:
        """The pool of the values."""
        return operations.MaxPooling2D(
            ksize=self.ksize, stride=self.stride, pad=self.pad,
            cover_all=self.cover_all)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PixelSigns:
    """Bits of pixels: +1 from 128 up."""

    name: str = ''
    input_shape: tuple
    output_shape: tuple


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FloatStage:
    """An operation that stays as it was trained.

    ``Rescale`` takes pixels, every other operation float32.  ``Sign`` gives
    bits, ``Quantize`` levels (the values times n), every other operation
    float32.  ``Flatten`` takes and gives any kind, ``MaxPooling2D`` levels
    too.

    Attributes:
        operation (~bnn.deploy.operations.Operation): The operation.
        input_shape, output_shape (tuple of int): Of an example.
    """

    operation: operations.Operation
    input_shape: tuple
    output_shape: tuple

    @property
    def name(self):
        """str: The link."""
        return self.operation.name


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PackedNet:
    """A packed net.

    Attributes:
        input_shape (tuple of int): (channels, h, w) of an image.
        rescale (~bnn.deploy.operations.Rescale): How the training scaled the
            pixels; folded into the first stages.
        stages (tuple): The stages, in order.
        class_names (tuple of str): The classes.
        facts (dict): What else the model file says: ``'dataset'``,
            ``'net'``, ``'test_accuracy'`` ..., JSON values.
    """

    input_shape: tuple
    rescale: operations.Rescale
    stages: tuple
    class_names: tuple
    facts: dict = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def products(self):
        """list of Product: The layers."""
        return [stage for stage in self.stages
                if isinstance(stage, Product)]


def is_level_pooling(stage, kind):
    """Tells whether a stage, given a kind of value, pools levels."""
    return kind == 'levels' and isinstance(stage, FloatStage) and isinstance(
        stage.operation, operations.MaxPooling2D)


def is_flatten(stage):
    """Tells whether a stage only changes the shape."""
    return isinstance(stage, FloatStage) and isinstance(
        stage.operation, operations.Flatten)
