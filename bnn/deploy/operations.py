"""What a trained net computes in a test, operation by operation.

Whoever packs or exports a net reads these and knows no link;
:mod:`bnn.deploy.tracing` makes them.  Arrays are NumPy's, images (batch,
channels, h, w).  :mod:`bnn.deploy.reference` computes them: it is their
definition.
"""
import dataclasses
import math

import numpy


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Operation:
    """What the operations have in common.

    Attributes:
        name (str): The link that it is of, ``'block2/conv'``; else empty.
    """

    name: str = ''

    def output_shape(self, shape):
        """Returns the shape of an example's result, given the operand's."""
        return shape


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Rescale(Operation):
    """From a pixel, 0 to 255, to what the first layer sees.

    Attributes:
        kind (str): ``'unit'``: p / 255; ``'signed'``: p / 127.5 - 1;
            ``'standard'``: (p / 255 - mean) / std; ``'binary'``: +1 from 128
            up, else -1.
        mean, std (tuple of float): Of each channel, for ``'standard'``.
    """

    kind: str
    mean: tuple = ()
    std: tuple = ()

    def affine(self, n_channels):
        """Returns factor and offset of each channel, x = factor p + offset.

        Returns:
            tuple: Two float64 (n_channels,); ``None`` for ``'binary'``.
        """
        if self.kind == 'binary':
            return None
        if self.kind == 'standard':
            mean, std = numpy.float64(self.mean), numpy.float64(self.std)
            pair = 1 / (255 * std), -mean / std
        else:
            pair = {'unit': (1 / 255, 0.), 'signed': (1 / 127.5, -1.)}[
                self.kind]
        return tuple(numpy.broadcast_to(v, n_channels) for v in pair)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Whiten(Operation):
    """Whitens images of pixels in [0, 1], see :mod:`bnn.kernels.whitening`.

    It stands behind a ``Rescale`` of kind ``'unit'``.  The matrix is full:
    each value of the result depends on all pixels, and nothing cheaper than
    its n^2 floats gives the numbers that the net was trained on.  A packed
    file holds it, of CIFAR-10 38 MB, so that it still is the one file that a
    picture needs.

    Attributes:
        mean (numpy.ndarray): float32 (n,).
        matrix (numpy.ndarray): float32 (n, n).
    """

    mean: numpy.ndarray
    matrix: numpy.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """Weights as a layer computes with them: ``values`` times ``scale``.

    Attributes:
        bits (int): 1: +-1; 2 to 8: whole numbers; 32: floats.
        values (numpy.ndarray): (filters, ...); int8 or int16, or float32 for
            32 bits.
        scale (numpy.ndarray or None): float32: alpha of each filter,
            (filters,), or the step of k-bit weights, (); ``None`` is 1.
        levels (int or None): How many values a weight can have; ``None``:
            2^bits.
    """

    bits: int
    values: numpy.ndarray
    scale: numpy.ndarray = None
    levels: int = None

    @property
    def level_bits(self) -> int:
        """Bits that tell the levels of a weight apart."""
        # The linear quantizer of QNN has 2^k + 1 levels.
        return (self.bits if self.levels is None
                else (self.levels - 1).bit_length())

    def scales(self):
        """Returns the scale of each filter, float64 (filters,)."""
        return numpy.broadcast_to(numpy.float64(
            1 if self.scale is None else self.scale), len(self.values))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Operation):
    """y = x W^T + b.

    Attributes:
        W (Weights): (out, in).
        b (numpy.ndarray or None): float32 (out,).
    """

    W: Weights
    b: numpy.ndarray = None

    def output_shape(self, shape):
        return self.W.values.shape[:1]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Convolution2D(Operation):
    """Convolution (cross-correlation, as in Chainer).

    Attributes:
        W (Weights): (filters, channels / groups, kh, kw).
        b (numpy.ndarray or None): float32 (filters,).
        stride, pad, dilate (tuple of int): (h, w).
        pad_value (int): What the padding is, 0 or 1.
        groups (int): Groups of channels.
    """

    W: Weights
    b: numpy.ndarray = None
    stride: tuple = (1, 1)
    pad: tuple = (0, 0)
    dilate: tuple = (1, 1)
    pad_value: int = 0
    groups: int = 1

    def output_shape(self, shape):
        return (len(self.W.values), *(
            (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(
                shape[1:], self.W.values.shape[2:], self.stride, self.pad,
                self.dilate, strict=True)))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class BatchNormalization(Operation):
    """gamma (x - mean) / sqrt(var + eps) + beta, for each channel (axis 1).

    Attributes:
        gamma, beta, mean, var (numpy.ndarray): float32 (channels,).
        eps (float): Added to the variance.
    """

    gamma: numpy.ndarray
    beta: numpy.ndarray
    mean: numpy.ndarray
    var: numpy.ndarray
    eps: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Bias(Operation):
    """Adds ``b``, float32 (channels,), along axis 1."""

    b: numpy.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Sign(Operation):
    """+1 where x - shift >= 0, else -1.

    Attributes:
        shift (numpy.ndarray or None): float32 (channels,), along axis 1.
    """

    shift: numpy.ndarray = None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(Operation):
    """round(clip(x, low, high) n) / n, a tie to the even level.

    Attributes:
        n (int or float): Levels in a unit.
        low, high (float): Range, multiples of 1/n.
    """

    n: int
    low: float
    high: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Clip(Operation):
    """clip(x, low, high)."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ReLU(Operation):
    """max(x, 0)."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class RPReLU(Operation):
    """zeta + (x - gamma if x > gamma else beta (x - gamma)), by channel.

    Attributes:
        gamma, zeta, beta (numpy.ndarray): float32 (channels,).
    """

    gamma: numpy.ndarray
    zeta: numpy.ndarray
    beta: numpy.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Pooling(Operation):
    """Windows over an image.

    Attributes:
        ksize, stride, pad (tuple of int): (h, w).
        cover_all (bool): Whether the sizes are rounded up.
    """

    ksize: tuple
    stride: tuple
    pad: tuple = (0, 0)
    cover_all: bool = False

    def output_shape(self, shape):
        return (shape[0], *(
            (n + 2 * p - k + (s - 1 if self.cover_all else 0)) // s + 1
            for n, k, s, p in zip(shape[1:], self.ksize, self.stride,
                                  self.pad, strict=True)))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class MaxPooling2D(_Pooling):
    """Maximum of each window; what is outside the image does not count."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AveragePooling2D(_Pooling):
    """Mean of each window; the padding counts as 0."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Mean(Operation):
    """Mean over the image: (batch, channels, h, w) to (batch, channels)."""

    def output_shape(self, shape):
        return shape[:1]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Operation):
    """(batch, channels, h, w) to (batch, channels * h * w)."""

    def output_shape(self, shape):
        return (math.prod(shape),)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class KeepScale(Operation):
    """XNOR-Net's K of the operand, to be kept for :class:`MultiplyScale`.

    Of images: mean of ``|x|`` over the channels, then over each window of the
    convolution that follows, padding counted as 0: (batch, 1, h, w).  Of
    flat examples, ``ksize`` ``None``: the mean of ``|x|``, (batch, 1).  The
    operand itself goes on unchanged.

    Attributes:
        ksize (tuple of int or None): Of that convolution.
        stride, pad (tuple of int): Likewise.
    """

    ksize: tuple = None
    stride: tuple = (1, 1)
    pad: tuple = (0, 0)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class MultiplyScale(Operation):
    """Multiplies by the K that the last :class:`KeepScale` kept."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Keep(Operation):
    """Keeps the operand, for :class:`AddKept`; it goes on unchanged."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Swap(Operation):
    """Keeps the operand in place of what was kept last, which goes on.

    Attributes:
        shape (tuple of int): Of what goes on, of an example.
    """

    shape: tuple

    def output_shape(self, shape):
        return self.shape


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AddKept(Operation):
    """Adds what was kept last, of the same shape."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PadChannels(Operation):
    """Adds channels of zeros to an image.

    Attributes:
        before, after (int): How many, in front of its own and behind them.
    """

    before: int
    after: int

    def output_shape(self, shape):
        return (self.before + shape[0] + self.after, *shape[1:])
