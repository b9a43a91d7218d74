"""The operations of a net, read off the graph of one forward pass.

A hook keeps every function of the pass with its operands.  A table says which
operation a function is; the table goes by the names of classes, so that this
package imports no net.  What depends on parameters alone is a constant: the
weights of a layer, of which the functions that made them tell whether they
are signs, signs times a scale, or whole multiples of 1/n.
"""
import dataclasses
from collections.abc import Callable

import chainer
import numpy
from chainer import backend

from bnn import errors
from bnn.deploy import operations


def trace(model: chainer.Link, example) -> list[operations.Operation]:
    """Lists the operations of a net in test mode.

    Args:
        model (~chainer.Link): The net: called with images, it returns the
            scores.
        example (array): Images as the net sees them, float (batch, ...), on
            the device of the net.  Their values do not matter.

    Returns:
        list of ~bnn.deploy.operations.Operation: In order, each named after
        the link whose parameters it has, or else the chain that it is in.
        They hold copies, on the CPU.

    Raises:
        ~bnn.errors.UserError: If the net has a function that is not
            supported: which one, in which layer, and what to use instead.

    """
    x = chainer.Variable(example)
    chains = _Chains(model)
    hook = _Calls(chains)
    # Batch normalization is in the graph only where gradients are possible.
    # What overflows does so because of the example's values, or will be
    # reported when it is packed.
    with (chains, hook, chainer.using_config('train', False),
          chainer.force_backprop_mode(), numpy.errstate(all='ignore')):
        y = model(x)
    values = {id(x.node): _Step(None, (), '')}
    names = _names(model)
    needed = _functions(y)
    for function, arrays, chain in hook.calls:
        if function not in needed:
            continue
        operands = [
            values.get(id(node)) or _Constant(names.get(id(array), ''))
            for node, array in zip(function.inputs, arrays, strict=True)]
        for output in function.outputs:
            node = output()
            if node is not None:  # An output that is not used is gone.
                values[id(node)] = _read(
                    _Call(function, operands, arrays, node.shape, chain))
    last = values.get(id(y.node))
    if not isinstance(last, _Step):
        raise errors.UserError(
            'the graph does not lead from the scores of the net back to its '
            'images: compute on chainer.Variable throughout')
    return _merge(_line_up(last))


class _Calls(chainer.FunctionHook):
    """Keeps the functions of a forward pass.

    Attributes:
        calls (list of tuple): Functions in the order of computation, each
            with the arrays of its operands and the path of its chain.
    """

    name = 'Calls'

    def __init__(self, chains):
        self._chains = chains
        self.calls = []

    def forward_postprocess(self, function, in_data):
        self.calls.append((function, in_data, self._chains.path))


class _Chains(chainer.LinkHook):
    """Knows which chain computes.

    Layers do not count: what a layer does before it applies its parameters,
    as flatten images, belongs to the chain around it.

    Attributes:
        path (str): Its path.
    """

    name = 'Chains'

    def __init__(self, model):
        super().__init__()
        self._paths = {
            id(link): path.strip('/') for path, link in model.namedlinks()
            if isinstance(link, (chainer.Chain, chainer.ChainList))}
        self._around = []
        self.path = ''

    def forward_preprocess(self, args):
        self._around.append(self.path)
        self.path = self._paths.get(id(args.link), self.path)

    def forward_postprocess(self, args):
        self.path = self._around.pop()


class _Names(chainer.Serializer):
    """Notes which link has which array.

    Attributes:
        names (dict): The ids of parameters and persistent arrays to the
            paths of their links.
    """

    def __init__(self, path='', names=None):
        self._path = path
        self.names = {} if names is None else names

    def __getitem__(self, key):
        return _Names(f'{self._path}/{key}'.strip('/'), self.names)

    def __call__(self, key, value):
        self.names.setdefault(id(value), self._path)
        return value


def _names(model):
    names = _Names()
    names.save(model)
    return names.names


def _functions(y):
    """Returns the functions that a variable depends on."""
    found, waiting = set(), [y.creator_node]
    while waiting:
        function = waiting.pop()
        if function is not None and function not in found:
            found.add(function)
            waiting += [node.creator_node for node in function.inputs]
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Constant:
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
        W = _copy(array)
        if self.latent is not None:
            return operations.Weights(
                1, numpy.where(_copy(self.latent) >= 0, 1, -1).astype(
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
class _Step:
    """A value that depends on the example.

    Attributes:
        operation (~bnn.deploy.operations.Operation): What computes it;
            ``None``: it is the example.
        operands (tuple of _Step): Of what; the scale of a MultiplyScale is
            the second one.
        function (str): Of which function the operation was read.
    """

    operation: operations.Operation
    operands: tuple
    function: str


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Absolute(operations.Operation):
    """|x|, of which a scale is made."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Pad(operations.Operation):
    """Padding that belongs to the convolution behind it."""

    pad: tuple
    value: int


class _Unsupported(Exception):
    """A function cannot be packed as it is used; says what to use instead."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Call:
    """A function as it was called.

    Attributes:
        function (~chainer.FunctionNode): The function.
        operands (list of _Constant and _Step): Its operands.
        arrays (tuple of array): Their arrays.
        shape (tuple of int): Of the result.
        chain (str): The chain that called it.
    """

    function: chainer.FunctionNode
    operands: list
    arrays: tuple
    shape: tuple
    chain: str

    @property
    def link(self):
        """str: The link whose parameters are among the operands, or ''."""
        return next((one.name for one in self.operands
                     if isinstance(one, _Constant) and one.name), '')

    @property
    def name(self):
        """str: The name of the operation."""
        return self.link or self.chain

    def step(self, operation, *operands):
        """Returns a value that is no operation on the first operand."""
        return _Step(dataclasses.replace(operation, name=self.name), operands,
                     type(self.function).__name__)

    def constant(self, i):
        """Returns a copy of an operand that is of parameters alone, or None
        where there is no such operand.
        """
        if i >= len(self.operands):
            return None
        self.check(isinstance(self.operands[i], _Constant),
                   'its parameters must not depend on the images')
        return _copy(self.arrays[i])

    def weights(self):
        """Returns the second operand, the weights of a layer."""
        self.constant(1)
        return self.operands[1].weights(self.arrays[1])

    def check(self, condition, instead):
        if not condition:
            raise _Unsupported(instead)


_SUPPORTED = (
    'supported are linear, convolution_2d, batch_normalization, bias, relu, '
    'clipped_relu, clip, prelu, max_pooling_2d, average_pooling_2d, mean over '
    'the image, reshape to (batch, n), and the signs and quantizers of this '
    'project')


def _read(call):
    """Returns the value that a function computes."""
    is_constant = all(isinstance(one, _Constant) for one in call.operands)
    table = _CONSTANTS if is_constant else _OPERATIONS
    # A subclass computes what its class does, if with another gradient.
    read = next((table[kind.__name__] for kind in type(call.function).__mro__
                 if kind.__name__ in table), None)
    if is_constant:
        return dataclasses.replace(
            read(call) if read else _Constant(''), name=call.link)
    try:
        call.check(read is not None, _INSTEAD.get(
            type(call.function).__name__, _SUPPORTED))
        value = read(call)
    except _Unsupported as e:
        before = next(one for one in call.operands if isinstance(one, _Step))
        raise _error(type(call.function).__name__, call.link, before,
                     e) from None
    return value if isinstance(value, _Step) else call.step(
        value, *(one for one in call.operands if isinstance(one, _Step)))


def _error(function, name, before, instead):
    where = 'in ' + name if name else 'on the images'
    while not name and before.operation is not None:
        name = before.operation.name
        where = 'behind ' + name
        before = before.operands[0]
    return errors.UserError(f'{function} {where} is not supported: {instead}')


# ---- functions of constants


def _signs(call):
    return _Constant('', latent=call.arrays[0])


def _scaled_signs(call):
    return _Constant('', latent=call.arrays[0], has_scale=True)


def _levels(call):
    n = call.function.n
    return _Constant('', grid=n, levels=1 + round(
        (call.function.high - call.function.low) * n))


def _whole_number(call):
    """Times a whole number, or plus one: multiples of 1/n stay that."""
    operand, value = call.operands[0], call.function.value
    if numpy.ndim(value) == 0 and value == numpy.rint(value):
        return _Constant('', grid=operand.grid, levels=operand.levels)
    return _Constant('')


_CONSTANTS = {
    'Binarize': _signs, 'BST': _signs, 'ScaledBinarize': _scaled_signs,
    'QST': _levels, 'MulConstant': _whole_number,
    'AddConstant': _whole_number}


# ---- functions of the images


def _binary_linear(call):
    b = call.constant(2)
    return operations.Linear(
        W=_Constant('', latent=call.arrays[1]).weights(call.arrays[1]), b=b)


def _linear(call):
    return operations.Linear(W=call.weights(), b=call.constant(2))


def _convolution_2d(call):
    function, operand = call.function, call.operands[0]
    call.check(not function.cover_all, 'set cover_all=False')
    geometry = {
        'stride': (function.sy, function.sx),
        'pad': (function.ph, function.pw)}
    dilate = function.dy, function.dx
    if isinstance(operand, _Step) and isinstance(
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
    i, = _constants(call, (
        'a sum of two branches cannot be packed, use a net without shortcuts'))
    return operations.Bias(b=_by_channel(call, call.constant(i)))


def _subtract(call):
    i, = _constants(call, 'only a parameter can be subtracted')
    call.check(i == 1, 'subtract the parameter from the images')
    return operations.Bias(b=-_by_channel(call, call.constant(1)))


def _constants(call, instead):
    found = [i for i, one in enumerate(call.operands)
             if isinstance(one, _Constant)]
    call.check(found, instead)
    return found


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
    scales = [one for one in call.operands if isinstance(one, _Step)
              and isinstance(one.operation, operations.KeepScale)]
    others = [one for one in call.operands if isinstance(one, _Step)
              and one not in scales]
    call.check(len(scales) == len(others) == 1, (
        'only the scale of its operand, the mean of |x|, can multiply a '
        'result; for one factor a channel use batch normalization'))
    return call.step(operations.MultiplyScale(), *others, *scales)


def _absolute(call):
    return _Absolute()


def _mean(call):
    function, operand, x = call.function, call.operands[0], call.arrays[0]
    axes = {axis % x.ndim for axis in (
        range(x.ndim) if function.axis is None else function.axis)}
    if isinstance(operand.operation, _Absolute):
        call.check(axes == {1} and function.keepdims,
                   'the mean of |x| is over axis 1, with keepdims=True')
        source, = operand.operands
        if x.ndim != 2:
            return call.step(operations.KeepScale(ksize=(1, 1)), source)
        if isinstance(source.operation, operations.Flatten):
            source, = source.operands
        return call.step(operations.KeepScale(), source)
    call.check(axes == {2, 3} and x.ndim == 4 and not function.keepdims,
               'the mean is over axes 2 and 3, without keepdims')
    return operations.Mean()


def _reshape(call):
    shape = call.arrays[0].shape
    if call.shape == shape:
        return call.operands[0]
    call.check(call.shape[0] == shape[0] and len(call.shape) == 2,
               'reshape to (batch, n)')
    return operations.Flatten()


def _identity(call):
    return call.operands[0]


def _pad(call):
    function = call.function
    widths = numpy.broadcast_to(function.pad_width, (len(call.shape), 2))
    value = function.keywords.get('constant_values', 0)
    call.check(
        function.mode == 'constant' and value in (0, 1)
        and len(call.shape) == 4 and not widths[:2].any()
        and (widths[:, 0] == widths[:, 1]).all(),
        'pad height and width with 0 or 1, the same on both sides')
    return _Pad(pad=tuple(map(int, widths[2:, 0])), value=value)


def _sign(call):
    return operations.Sign()


def _quantize(call):
    function = call.function
    return operations.Quantize(
        n=function.n, low=function.low, high=function.high)


def _relu(call):
    return operations.ReLU()


def _clip(call):
    low, high = call.function.x_min, call.function.x_max
    call.check(low is not None and high is not None, 'give both ends')
    return operations.Clip(low=float(low), high=float(high))


def _clipped_relu(call):
    return operations.Clip(low=0., high=float(call.function.cap))


def _prelu(call):
    beta = call.constant(1)
    n = call.shape[1]
    call.check(beta.size == 1 or beta.shape == (n,),
               'a PReLU has one slope, or one a channel')
    return operations.RPReLU(
        gamma=numpy.zeros(n, beta.dtype), zeta=numpy.zeros(n, beta.dtype),
        beta=numpy.broadcast_to(beta.ravel(), (n,)).copy())


def _max_pooling(call):
    function = call.function
    call.check(len(function.ksize) == 2, 'use max_pooling_2d')
    return operations.MaxPooling2D(
        ksize=tuple(function.ksize), stride=tuple(function.stride),
        pad=tuple(getattr(function, 'pad', (0, 0))),
        cover_all=function.cover_all)


def _average_pooling_2d(call):
    function = call.function
    return operations.AveragePooling2D(
        ksize=(function.kh, function.kw), stride=(function.sy, function.sx),
        pad=(function.ph, function.pw))


_OPERATIONS: dict[str, Callable] = {
    'BinaryLinearFunction': _binary_linear, 'LinearFunction': _linear,
    'Convolution2DFunction': _convolution_2d,
    'FixedBatchNormalization': _batch_normalization,
    'BatchNormalization': _batch_statistics,
    'Add': _add, 'AddConstant': _add_constant, 'Sub': _subtract,
    'Mul': _multiply, 'Absolute': _absolute, 'Mean': _mean,
    'Reshape': _reshape, 'Identity': _identity, 'Pad': _pad,
    'BST': _sign, 'QST': _quantize, 'ReLU': _relu, 'Clip': _clip,
    'ClippedReLU': _clipped_relu, 'PReLUFunction': _prelu,
    'MaxPooling2D': _max_pooling, 'MaxPoolingND': _max_pooling,
    'AveragePooling2D': _average_pooling_2d}

_SCORES = 'end the net with the scores before it'
_ACTIVATIONS = 'use relu, prelu, clip, a sign or a quantizer'
_INSTEAD = {
    'Softmax': _SCORES, 'LogSoftmax': _SCORES,
    **dict.fromkeys(('Sigmoid', 'Tanh', 'ELU', 'LeakyReLU', 'HardSigmoid'),
                    _ACTIVATIONS),
    'Concat': 'branches cannot be packed, use a net without them',
    'LocalResponseNormalization': 'use batch normalization',
    'ConvolutionND': 'use convolution_2d',
    'MulConstant': 'use batch normalization'}


# ---- from the graph to a list


def _line_up(last):
    """Lists the operations that lead to a value, scales in their places.

    The list is one line: each operation takes the result of the one before
    it, and a MultiplyScale what the last KeepScale kept.
    """
    steps = []
    step = last
    while step.operation is not None:
        steps.append(step)
        step = step.operands[0]
    example = step
    found, kept = [], []
    for step in [example, *reversed(steps)]:
        operation = step.operation
        if isinstance(operation, (operations.KeepScale, _Absolute)):
            raise _error(step.function, '', step.operands[0], (
                'the mean of |x| can only multiply the result of a layer'))
        if isinstance(operation, operations.MultiplyScale) and (
                not kept or kept.pop() is not step.operands[1]):
            raise _error(step.function, '', step.operands[0], (
                'only the scale of the operand of the last layer can '
                'multiply its result'))
        if operation is not None:
            found.append(operation)
        # The scale of a layer that comes later is kept first.
        scales = [later.operands[1] for later in reversed(steps)
                  if len(later.operands) == 2
                  and later.operands[1].operands[0] is step]
        for scale in reversed(scales):
            kept.append(scale)
            found.append(scale.operation)
    return found


def _merge(found):
    """Puts shifts and padding into the operations that they belong to."""
    merged = []
    for one in found:
        before = merged[-1] if merged else None
        is_bias = isinstance(before, operations.Bias)
        if isinstance(one, operations.Sign) and is_bias:
            merged[-1] = dataclasses.replace(
                one, name=before.name, shift=-before.b)
        elif isinstance(one, operations.RPReLU) and is_bias and (
                before.name == one.name):
            merged[-1] = dataclasses.replace(one, gamma=-before.b)
        elif isinstance(one, operations.Bias) and isinstance(
                before, operations.RPReLU) and before.name == one.name and (
                    not before.zeta.any()):
            merged[-1] = dataclasses.replace(before, zeta=one.b)
        elif isinstance(before, _Pad):
            if not isinstance(one, operations.Convolution2D) or any(one.pad):
                raise errors.UserError(
                    f'Pad before {one.name or type(one).__name__} is not '
                    'supported: pad right before a convolution without a '
                    'padding of its own')
            merged[-1] = dataclasses.replace(
                one, pad=before.pad, pad_value=before.value)
        else:
            merged.append(one)
    if isinstance(merged[-1], _Pad):
        raise errors.UserError(
            'Pad at the end of the net is not supported: leave it out')
    return merged


def _copy(array):
    """Returns a copy of an array on the CPU."""
    return numpy.array(backend.CpuDevice().send(array))
