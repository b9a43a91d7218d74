"""The operations of a net, read off the graph of one forward pass.

A hook keeps every function of the pass with its operands;
:mod:`bnn.deploy.functions` says which operation it is.  This is the only
module of the package that imports Chainer.
"""
import dataclasses

import chainer
import numpy
from chainer import backend

from bnn import errors
from bnn.deploy import functions
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
    if not isinstance(y, chainer.Variable):
        raise errors.UserError(
            f'the net gives a {type(y).__name__}: return its scores, one '
            'chainer.Variable')
    values = {id(x.node): functions.Step(None, (), '', None, x.shape[1:])}
    names = _names(model)
    needed = _needed(y)
    to_cpu = backend.CpuDevice().send
    for function, arrays, chain in hook.calls:
        if function not in needed:
            continue
        operands = [
            values.get(id(node)) or functions.Constant(
                names.get(id(array), ''))
            for node, array in zip(function.inputs, arrays, strict=True)]
        for output in function.outputs:
            node = output()
            if node is not None:  # An output that is not used is gone.
                values[id(node)] = functions.read(functions.Call(
                    function, operands, list(map(to_cpu, arrays)), node.shape,
                    chain))
    last = values.get(id(y.node))
    if not isinstance(last, functions.Step):
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


def _names(model):
    """Returns the ids of arrays and the paths of the links that have them."""
    names = {}
    for path, link in model.namedlinks():
        for value in vars(link).values():
            names.setdefault(id(getattr(value, 'array', value)),
                             path.strip('/'))
    return names


def _needed(y):
    """Returns the functions that a variable depends on."""
    found, waiting = set(), [y.creator_node]
    while waiting:
        function = waiting.pop()
        if function is not None and function not in found:
            found.add(function)
            waiting += [node.creator_node for node in function.inputs]
    return found


# ---- from the graph to a list


def _line_up(last, first=None):
    """Lists the operations that lead from one value to another.

    The list is one line: each operation takes the result of the one before
    it, a MultiplyScale what the last KeepScale kept, and an AddKept what the
    last Keep or Swap did.

    Args:
        last (~bnn.deploy.functions.Step): The result.
        first (~bnn.deploy.functions.Step or None): Where to begin; ``None``
            is the example.

    Returns:
        list of ~bnn.deploy.operations.Operation: The operations.
    """
    steps = [last]
    while steps[-1] is not first and steps[-1].before is not None:
        steps.append(steps[-1].before)
    first = steps.pop()
    found, kept = [], []
    for step in [first, *reversed(steps)]:
        operation = None if step is first else step.operation
        if isinstance(operation, (operations.KeepScale, functions.Absolute)):
            raise functions.error(step.function, '', step.operands[0], (
                'the mean of |x| can only multiply the result of a layer'))
        if isinstance(operation, operations.MultiplyScale) and (
                not kept or kept.pop() is not step.operands[1]):
            raise functions.error(step.function, '', step.operands[0], (
                'only the scale of the operand of the last layer can '
                'multiply its result'))
        if isinstance(operation, operations.AddKept):
            found += _branches(step)
        elif operation is not None:
            found.append(operation)
        # The scale of a layer that comes later is kept first.
        scales = [later.operands[1] for later in reversed(steps)
                  if isinstance(later.operation, operations.MultiplyScale)
                  and later.operands[1].operands[0] is step]
        for scale in reversed(scales):
            kept.append(scale)
            found.append(scale.operation)
    return found


def _branches(step):
    """Lists the operations of a sum, from where its branches begin.

    The shorter branch comes first: its result is kept.
    """
    shortcut, branch = sorted(
        (_line_up(one, step.before) for one in step.operands), key=len)
    name = step.operation.name
    if shortcut:
        shortcut.append(operations.Swap(name=name, shape=step.before.shape))
    return [operations.Keep(name=name), *shortcut, *branch, step.operation]


def _merge(found):
    """Puts shifts and padding into the operations that they belong to."""
    merged = []
    for one in found:
        before = merged[-1] if merged else None
        is_bias = isinstance(before, operations.Bias)
        if isinstance(one, operations.Sign) and is_bias and (
                one.shift is None):
            merged[-1] = dataclasses.replace(
                one, name=before.name, shift=-before.b)
        elif isinstance(one, operations.RPReLU) and is_bias and (
                before.name == one.name) and not one.gamma.any():
            merged[-1] = dataclasses.replace(one, gamma=-before.b)
        elif isinstance(one, operations.Bias) and isinstance(
                before, operations.RPReLU) and before.name == one.name and (
                    not before.zeta.any()):
            merged[-1] = dataclasses.replace(before, zeta=one.b)
        elif isinstance(before, functions.Pad):
            if not isinstance(one, operations.Convolution2D) or any(one.pad):
                raise errors.UserError(
                    f'Pad before {one.name or type(one).__name__} is not '
                    'supported: pad right before a convolution without a '
                    'padding of its own')
            merged[-1] = dataclasses.replace(
                one, pad=before.pad, pad_value=before.value)
        else:
            merged.append(one)
    if merged and isinstance(merged[-1], functions.Pad):
        raise errors.UserError(
            'Pad at the end of the net is not supported: leave it out')
    return merged
