"""Which operation a function of Chainer's graph is.

A table goes by the names of classes, so that this package imports no net.
What depends on parameters alone is a constant: the weights of a layer, of
which the functions that made them tell whether they are signs, signs times a
scale, or whole multiples of 1/n.
"""
import dataclasses
from typing import Any

import numpy

from bnn import errors
from bnn.deploy import operations


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """A value that depends on parameters alone.

    Its array is with the call that takes it.

    Attributes:
        name (str): The link whose parameter it is, or is made of.
        latent (array or None): The latent weights whose signs it has.
        has_scale (bool): Whether the signs are multiplied by a scale for
            each filter.
        grid (int): n, where the values are multiples of 1/n, else 0.
        levels (int): How many such values there can be.
    """

    name: str
    latent: object = None
    has_scale: bool = False
    grid: int = 0
    levels: int = 0

    def weights(self, array):
        """Returns the weights, given the array."""
        W = numpy.array(array)
        if self.latent is not None:
            return operations.Weights(
                1, numpy.where(numpy.array(self.latent) >= 0, 1, -1).astype(
                    numpy.int8),
                abs(W.reshape(len(W), -1)[:, 0]) if self.has_scale else None)
        if self.grid:
            # DoReFa's weights that are all 0 are NaN, as in training.
            step = numpy.float32(
                numpy.nan if numpy.isnan(W).any() else 1 / self.grid)
            # 2^k levels, or one more in the linear quantizer, are k bits.
            return operations.Weights(
                max(self.levels.bit_length() - 1, 2),
                numpy.rint(numpy.nan_to_num(W) * self.grid).astype(
                    numpy.int16), step, self.levels)
        return operations.Weights(32, W.astype(numpy.float32))


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """A value that depends on the example.

    Attributes:
        operation (~bnn.deploy.operations.Operation): What computes it;
            ``None``: it is the example.
        operands (tuple of Step): Of what; the scale of a MultiplyScale is
            the second one.
        function (str): Of which function the operation was read.
        before (Step or None): The last value that all of it is computed of:
            the operand, or of a sum the value where its branches begin.
        shape (tuple of int): Of an example.
    """

    operation: operations.Operation
    operands: tuple
    function: str
    before: object
    shape: tuple


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Absolute(operations.Operation):
    """``|x|``, of which a scale is made."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Pad(operations.Operation):
    """Padding that belongs to the convolution behind it."""

    pad: tuple
    value: int


class _Unsupported(Exception):
    """A function cannot be packed as it is used; says what to use instead."""


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A function as it was called.

    Attributes:
        function (~chainer.FunctionNode): The function.
        operands (list of Constant and Step): Its operands.
        arrays (list of numpy.ndarray): Their arrays.
        shape (tuple of int): Of the result.
        chain (str): The chain that called it.
    """

    function: Any
    operands: list
    arrays: list
    shape: tuple
    chain: str

    @property
    def link(self):
        """str: The link whose parameters are among the operands, or ''."""
        return next((one.name for one in self.operands
                     if isinstance(one, Constant) and one.name), '')

    @property
    def name(self):
        """str: The name of the operation."""
        return self.link or self.chain

    def step(self, operation, *operands, before=None):
        """Returns the value of an operation on these steps."""
        return Step(dataclasses.replace(operation, name=self.name), operands,
                    type(self.function).__name__, before or operands[0],
                    self.shape[1:])

    def constant(self, i):
        """Returns a copy of an operand that is of parameters alone, or None
        where there is no such operand.
        """
        if i >= len(self.operands):
            return None
        self.check(isinstance(self.operands[i], Constant),
                   'its parameters must not depend on the images')
        return numpy.array(self.arrays[i])

    def weights(self):
        """Returns the second operand, the weights of a layer."""
        self.constant(1)
        return self.operands[1].weights(self.arrays[1])

    def check(self, condition, instead):
        if not condition:
            raise _Unsupported(instead)


_SUPPORTED = (
    'supported are linear, convolution_2d, batch_normalization, bias, relu, '
    'leaky_relu, clipped_relu, clip, prelu, max_pooling_2d, '
    'average_pooling_2d, mean over the image, reshape to (batch, n), dropout, '
    'sums and concatenations of branches, and the signs and quantizers of '
    'this project')


def read(call: Call) -> Constant | Step:
    """Returns the value that a function computes.

    Raises:
        ~bnn.errors.UserError: If no operation computes it.
    """
    is_constant = all(isinstance(one, Constant) for one in call.operands)
    table = _CONSTANTS if is_constant else _OPERATIONS
    # A subclass computes what its class does, if with another gradient.
    read = next((table[kind.__name__] for kind in type(call.function).__mro__
                 if kind.__name__ in table), None)
    if is_constant:
        return dataclasses.replace(
            read(call) if read else Constant(''), name=call.link)
    try:
        call.check(read is not None, _INSTEAD.get(
            type(call.function).__name__, _SUPPORTED))
        value = read(call)
    except _Unsupported as e:
        before = next(one for one in call.operands if isinstance(one, Step))
        raise error(type(call.function).__name__, call.link, before,
                    e) from None
    return value if isinstance(value, Step) else call.step(
        value, *(one for one in call.operands if isinstance(one, Step)))


def error(function: str, name: str, before: Step,
          instead: str) -> errors.UserError:
    """Makes the error of a function that is not supported.

    Args:
        function: Its name.
        name: Its layer, or empty.
        before: Its operand, whose layer is named where it has none.
        instead: What to use instead.
    """
    where = 'in ' + name if name else 'on the images'
    while not name and before.operation is not None:
        name = before.operation.name
        where = 'behind ' + name
        before = before.operands[0]
    return errors.UserError(f'{function} {where} is not supported: {instead}')


# ---- functions of constants


def _levels(call):
    n = call.function.n
    return Constant('', grid=n, levels=1 + round(
        (call.function.high - call.function.low) * n))


def _whole_number(call):
    """Times a whole number, or plus one: multiples of 1/n stay that."""
    operand, value = call.operands[0], call.function.value
    if numpy.ndim(value) == 0 and value == numpy.rint(value):
        return Constant('', grid=operand.grid, levels=operand.levels)
    return Constant('')


_CONSTANTS = {
    **dict.fromkeys(('Binarize', 'BST'), lambda call: Constant(
        '', latent=call.arrays[0])),
    'ScaledBinarize': lambda call: Constant(
        '', latent=call.arrays[0], has_scale=True),
    'DoReFa': lambda call: Constant(
        '', grid=call.function.n, levels=call.function.n + 1),
    'QST': _levels, 'MulConstant': _whole_number,
    'AddConstant': _whole_number}


# ---- functions of the images


def _binary_linear(call):
    W = call.constant(1)
    return operations.Linear(
        W=Constant('', latent=W).weights(W), b=call.constant(2))


def _linear(call):
    return operations.Linear(W=call.weights(), b=call.constant(2))


def _convolution_2d(call):
    function, operand = call.function, call.operands[0]
    call.check(not function.cover_all, 'set cover_all=False')
    geometry = {
        'stride': (function.sy, function.sx),
        'pad': (function.ph, function.pw)}
    dilate = function.dy, function.dx
    if isinstance(operand, Step) and isinstance(
            operand.operation, operations.KeepScale):
        box = call.constant(1)
        ksize = box.shape[2:]
        call.check(
            operand.operation.ksize == (1, 1) and dilate == (1, 1)
            and len(call.operands) == 2
            and (box == box.dtype.type(1 / (ksize[0] * ksize[1]))).all(),
            'the scale of the images is their mean over each window')
        return call.step(operations.KeepScale(ksize=ksize, **geometry),
                         *operand.operands)
    return operations.Convolution2D(
        W=call.weights(), b=call.constant(2), dilate=dilate,
        groups=function.groups, **geometry)


def _batch_normalization(call):
    x = call.arrays[0]
    call.check(call.function.axis in (None, (0, *range(2, x.ndim))),
               'normalize over all axes but 1')
    gamma, beta, mean, var = map(call.constant, range(1, 5))
    return operations.BatchNormalization(
        gamma=gamma, beta=beta, mean=mean, var=var,
        eps=float(call.function.eps))


def _batch_statistics(call):
    call.check(False, 'in a test, use the running averages')


def _add(call):
    i = next((i for i, one in enumerate(call.operands)
              if isinstance(one, Constant)), None)
    if i is not None:
        return operations.Bias(b=_by_channel(call, call.constant(i)))
    call.check(call.arrays[0].shape == call.arrays[1].shape,
               'only branches of the same shape can be added')
    return _join(call, *call.operands)


def _join(call, one, other):
    """Returns the sum of two branches."""
    others = set(_line(other))
    before = next(step for step in _line(one) if step in others)
    call.check(not _inside(one, before) & _inside(other, before),
               'the branches of a sum or of a concatenation must not share '
               'values')
    return call.step(operations.AddKept(), one, other, before=before)


def _line(step):
    """Yields a step and those before it, back to the example."""
    while step is not None:
        yield step
        step = step.before


def _inside(step, before):
    """Returns the steps that one is computed of, from another one on."""
    found, waiting = set(), [step]
    while waiting:
        step = waiting.pop()
        if step is not before and step not in found:
            found.add(step)
            waiting += step.operands
    return found


def _concat(call):
    """The sum of the branches, each with channels of zeros in place of the
    others'.
    """
    call.check(call.function.axis % len(call.shape) == 1
               and not any(isinstance(one, Constant)
                           for one in call.operands),
               'only results of branches, along the channels (axis=1)')
    joined, before = None, 0
    for one, x in zip(call.operands, call.arrays, strict=True):
        end = before + x.shape[1]
        padded = call.step(operations.PadChannels(
            before=before, after=call.shape[1] - end), one)
        joined = padded if joined is None else _join(call, joined, padded)
        before = end
    return joined


def _subtract(call):
    call.check(isinstance(call.operands[1], Constant),
               'only a parameter can be subtracted')
    return operations.Bias(b=-_by_channel(call, call.constant(1)))


def _by_channel(call, array):
    """Returns the values of a constant along axis 1 of the result."""
    array = numpy.broadcast_to(array, call.shape)
    b = array[(0, slice(None), *(0,) * (array.ndim - 2))]
    call.check(numpy.array_equal(array, numpy.broadcast_to(
        b.reshape(-1, *(1,) * (array.ndim - 2)), call.shape), equal_nan=True),
        'a bias has one value a channel')
    return b.copy()


def _add_constant(call):
    return operations.Bias(b=numpy.full(
        call.shape[1], call.function.value, call.arrays[0].dtype))


def _multiply(call):
    scales = [one for one in call.operands if isinstance(one, Step)
              and isinstance(one.operation, operations.KeepScale)]
    others = [one for one in call.operands if isinstance(one, Step)
              and one not in scales]
    call.check(len(scales) == len(others) == 1, (
        'only the scale of its operand, the mean of |x|, can multiply a '
        'result; for one factor a channel use batch normalization'))
    return call.step(operations.MultiplyScale(), *others, *scales)


def _mean(call):
    function, operand, x = call.function, call.operands[0], call.arrays[0]
    axes = {axis % x.ndim for axis in (
        range(x.ndim) if function.axis is None else function.axis)}
    if isinstance(operand.operation, Absolute):
        call.check(axes == {1} and function.keepdims,
                   'the mean of |x| is over axis 1, with keepdims=True')
        source, = operand.operands
        if x.ndim != 2:
            return call.step(operations.KeepScale(ksize=(1, 1)), source)
        if isinstance(source.operation, operations.Flatten):
            source, = source.operands
        return call.step(operations.KeepScale(), source)
    call.check(axes == {2, 3} and x.ndim == 4,
               'the mean is over the image, axis=(2, 3)')
    if function.keepdims:
        return operations.AveragePooling2D(
            ksize=x.shape[2:], stride=x.shape[2:])
    return operations.Mean()


def _reshape(call):
    shape = call.arrays[0].shape
    if call.shape == shape:
        return call.operands[0]
    call.check(call.shape[0] == shape[0] and len(call.shape) == 2,
               'reshape to (batch, n)')
    return operations.Flatten()


def _get_item(call):
    """Each n-th row and column is a pool of windows of one pixel."""
    slices = call.function.slices
    steps = [one.step or 1 for one in slices if isinstance(one, slice)]
    call.check(
        len(slices) == len(steps) == len(call.shape) == 4
        and steps[:2] == [1, 1] and min(steps) > 0
        and call.shape == tuple(-(-n // step) for n, step in zip(
            call.arrays[0].shape, steps, strict=True)),
        'only each n-th row and column of the images can be taken, '
        'x[:, :, ::2, ::2]')
    return operations.MaxPooling2D(ksize=(1, 1), stride=tuple(steps[2:]))


def _pad(call):
    function = call.function
    widths = numpy.broadcast_to(function.pad_width, (len(call.shape), 2))
    value = function.keywords.get('constant_values', 0)
    if (function.mode == 'constant' and numpy.array_equal(value, 0)
            and widths[1].any() and not numpy.delete(widths, 1, 0).any()):
        return operations.PadChannels(
            before=int(widths[1, 0]), after=int(widths[1, 1]))
    call.check(
        function.mode == 'constant' and value in (0, 1)
        and len(call.shape) == 4 and not widths[:2].any()
        and (widths[:, 0] == widths[:, 1]).all(),
        'pad height and width with 0 or 1, the same on both sides, or '
        'channels with 0')
    return Pad(pad=tuple(map(int, widths[2:, 0])), value=value)


def _quantize(call):
    function = call.function
    return operations.Quantize(
        n=function.n, low=function.low, high=function.high)


def _clip(call):
    low, high = call.function.x_min, call.function.x_max
    call.check(low is not None and high is not None, 'give both ends')
    return operations.Clip(low=float(low), high=float(high))


def _clipped_relu(call):
    return operations.Clip(low=0., high=float(call.function.cap))


def _prelu(call):
    beta = call.constant(1)
    call.check(beta.size == 1 or beta.shape == call.shape[1:2],
               'a PReLU has one slope, or one a channel')
    return _slopes(call, beta)


def _rprelu(call):
    gamma, beta, zeta = map(call.constant, range(1, 4))
    return operations.RPReLU(gamma=gamma, beta=beta, zeta=zeta)


def _leaky_relu(call):
    return _slopes(call, numpy.asarray(
        call.function.slope, call.arrays[0].dtype))


def _slopes(call, beta):
    n = call.shape[1]
    return operations.RPReLU(
        gamma=numpy.zeros(n, beta.dtype), zeta=numpy.zeros(n, beta.dtype),
        beta=numpy.broadcast_to(beta.ravel(), (n,)).copy())


def _max_pooling(call):
    function = call.function
    call.check(len(function.ksize) == 2, 'use max_pooling_2d')
    return operations.MaxPooling2D(
        ksize=tuple(function.ksize), stride=tuple(function.stride),
        pad=tuple(function.pad), cover_all=function.cover_all)


def _average_pooling_2d(call):
    function = call.function
    return operations.AveragePooling2D(
        ksize=(function.kh, function.kw), stride=(function.sy, function.sx),
        pad=(function.ph, function.pw))


_OPERATIONS = {
    'BinaryLinearFunction': _binary_linear, 'LinearFunction': _linear,
    'Convolution2DFunction': _convolution_2d,
    'FixedBatchNormalization': _batch_normalization,
    'BatchNormalization': _batch_statistics,
    'Add': _add, 'AddConstant': _add_constant, 'Sub': _subtract,
    'Mul': _multiply, 'Absolute': lambda call: Absolute(), 'Mean': _mean,
    'Reshape': _reshape, 'Squeeze': _reshape, 'Concat': _concat,
    'Identity': lambda call: call.operands[0],
    'Pad': _pad, 'GetItem': _get_item,
    'BST': lambda call: operations.Sign(),
    'ShiftedSign': lambda call: operations.Sign(shift=call.constant(1)),
    'QST': _quantize, 'ReLU': lambda call: operations.ReLU(),
    'Clip': _clip, 'ClippedReLU': _clipped_relu,
    'PReLUFunction': _prelu, 'LeakyReLU': _leaky_relu,
    'RPReLUFunction': _rprelu,
    'MaxPooling2D': _max_pooling, 'MaxPoolingND': _max_pooling,
    'AveragePooling2D': _average_pooling_2d}

_SCORES = 'end the net with the scores before it'
_ACTIVATIONS = 'use relu, leaky_relu, prelu, clip, a sign or a quantizer'
_INSTEAD = {
    'Softmax': _SCORES, 'LogSoftmax': _SCORES,
    **dict.fromkeys(('Sigmoid', 'Tanh', 'ELU', 'HardSigmoid', 'Swish',
                     'Softplus'), _ACTIVATIONS),
    'LocalResponseNormalization': 'use batch normalization',
    'ConvolutionND': 'use convolution_2d',
    'MulConstant': 'use batch normalization'}
