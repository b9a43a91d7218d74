"""How each operation of a net is written in operators of ONNX.

The order of the arithmetic is that of :mod:`bnn.deploy.reference`.
"""
import functools

import numpy

from bnn import errors
from bnn.deploy import operations
from bnn.kernels import whitening

INPUT = 'pixels'


class Graph:
    """The nodes so far.

    Args:
        onnx (module): ONNX.
        input_shape (tuple of int): (channels, h, w) of an image.

    Attributes:
        onnx (module): ONNX.
        nodes (list of onnx.NodeProto): The nodes, in order.
        initializers (list of onnx.TensorProto): The arrays.
        kept (list of str): The results that later operations will take.
        shape (tuple of int): Of an example before the operation.
        x (str): The name of the last result.
        batch (str or int): How many images there are.
        domains (tuple): Names and versions of operators beside ONNX's.
        pixels (str): Type of the input, in ``onnx.TensorProto``.
    """

    batch = 'batch'
    pixels = 'UINT8'
    domains = ()

    def __init__(self, onnx, input_shape):
        self.onnx = onnx
        self.nodes, self.initializers, self.kept = [], [], []
        self.x, self.shape = INPUT, tuple(input_shape)
        self._link, self._names = '', set()

    def add(self, operation):
        """Adds an operation of the last result."""
        self._link = operation.name
        _add(operation, self)
        self.shape = tuple(operation.output_shape(self.shape))

    def node(self, kind, *inputs, **attributes):
        """Adds a node; arrays among its inputs become initializers.

        Returns:
            str: The name of its result.
        """
        name = self._name(kind)
        inputs = [one if isinstance(one, str) else self.constant(
            f'{name}/{i}', one) for i, one in enumerate(inputs)]
        self.nodes.append(self.onnx.helper.make_node(
            kind, inputs, [name], name, **attributes))
        return name

    def apply(self, kind, *inputs, **attributes):
        """Adds a node of the last result and ``inputs``."""
        self.x = self.node(kind, self.x, *inputs, **attributes)

    def constant(self, name, array):
        """Adds an initializer and returns its name."""
        name = self._name(name)
        self.initializers.append(self.onnx.numpy_helper.from_array(
            numpy.ascontiguousarray(array), name))
        return name

    def channels(self, values):
        """Shapes one value a channel to be combined with the last result."""
        return numpy.asarray(values, numpy.float32).reshape(
            -1, *(1,) * (len(self.shape) - 1))

    def weights(self, W):
        """Adds the weights of a convolution and returns their name."""
        return self.constant('W', W.values.astype(numpy.float32))

    def add_linear(self, W):
        """Adds the product of the last result with weights."""
        self.apply('Gemm', self.weights(W), transB=1)

    def add_pixels(self):
        """Makes floats of the pixels."""
        self.apply('Cast', to=self.onnx.TensorProto.FLOAT)

    def add_batch_normalization(self, bn):
        """Adds a :class:`~bnn.deploy.operations.BatchNormalization`."""
        inv_std = 1 / numpy.sqrt(bn.var.astype(numpy.float64) + bn.eps)
        self.apply('Sub', self.channels(bn.mean))
        self.apply('Mul', self.channels(inv_std))
        if (bn.gamma != 1).any():
            self.apply('Mul', self.channels(bn.gamma))
        if bn.beta.any():
            self.apply('Add', self.channels(bn.beta))

    def add_mean(self):
        """Adds the mean over the image."""
        self.apply('ReduceMean', numpy.int64([2, 3]), keepdims=0)

    def add_sign(self, threshold):
        """Adds +1 where the last result is >= a threshold, else -1."""
        self.x = self.node(
            'Where', self.node('GreaterOrEqual', self.x, threshold),
            numpy.float32(1), numpy.float32(-1))

    def add_levels(self, quantize):
        """Adds a :class:`~bnn.deploy.operations.Quantize`."""
        self.apply('Clip', *map(numpy.float32, (quantize.low, quantize.high)))
        self.apply('Mul', numpy.float32(quantize.n))
        self.apply('Round')  # a tie to the even number, as numpy.rint
        self.apply('Div', numpy.float32(quantize.n))

    def _name(self, words):
        """Returns a name that is not taken yet, in that of the link."""
        if self._link and not words.startswith(self._link + '/'):
            words = f'{self._link}/{words}'
        name, n = words, 1
        while name in self._names:
            n += 1
            name = f'{words}_{n}'
        self._names.add(name)
        return name


@functools.singledispatch
def _add(operation, graph):
    """Adds an operation, see :meth:`Graph.add`."""
    raise TypeError(f'no operation {type(operation).__name__}')


@_add.register
def _(operation: operations.Rescale, graph):
    graph.add_pixels()
    if operation.kind == 'binary':
        graph.add_sign(numpy.float32(128))
    elif operation.kind == 'signed':
        graph.apply('Div', numpy.float32(127.5))
        graph.apply('Sub', numpy.float32(1))
    else:
        graph.apply('Div', numpy.float32(255))
        if operation.kind == 'standard':
            graph.apply('Sub', graph.channels(operation.mean))
            graph.apply('Div', graph.channels(operation.std))


@_add.register
def _(operation: operations.Whiten, graph):
    axis, shape = numpy.int64([1]), graph.shape
    graph.apply('Flatten')
    graph.apply('Sub', graph.node('ReduceMean', graph.x, axis, keepdims=1))
    norm = graph.node('ReduceL2', graph.x, axis, keepdims=1)
    scale = numpy.float32(whitening.SCALE)
    norm = graph.node('Where', graph.node(
        'Less', norm, numpy.float32(whitening.NO_CONTRAST)), scale, norm)
    graph.apply('Mul', graph.node('Div', scale, norm))
    graph.apply('Sub', operation.mean)
    graph.apply('MatMul', operation.matrix)
    graph.apply('Reshape', numpy.int64([-1, *shape]))


def _add_scale_and_bias(operation, graph, n_axes):
    shape = -1, *(1,) * n_axes
    if operation.W.scale is not None:
        graph.apply('Mul', operation.W.scales().astype(
            numpy.float32).reshape(shape))
    if operation.b is not None:
        graph.apply('Add', graph.constant(
            'b', operation.b.astype(numpy.float32).reshape(shape)))


@_add.register
def _(operation: operations.Linear, graph):
    if len(graph.shape) > 1:
        graph.apply('Flatten')
    graph.add_linear(operation.W)
    _add_scale_and_bias(operation, graph, 0)


@_add.register
def _(operation: operations.Convolution2D, graph):
    pad = operation.pad
    if any(pad) and operation.pad_value:
        graph.apply('Pad', numpy.int64([0, 0, *pad] * 2), numpy.float32(
            operation.pad_value))
        pad = 0, 0
    graph.apply(
        'Conv', graph.weights(operation.W),
        kernel_shape=operation.W.values.shape[2:], strides=operation.stride,
        pads=[*pad] * 2, dilations=operation.dilate, group=operation.groups)
    _add_scale_and_bias(operation, graph, 2)


@_add.register
def _(operation: operations.BatchNormalization, graph):
    graph.add_batch_normalization(operation)


@_add.register
def _(operation: operations.Bias, graph):
    graph.apply('Add', graph.channels(operation.b))


@_add.register
def _(operation: operations.Sign, graph):
    # The difference x - shift is >= 0 exactly where x >= shift.
    graph.add_sign(numpy.float32(0) if operation.shift is None else
                   graph.channels(operation.shift))


@_add.register
def _(operation: operations.Clip, graph):
    graph.apply('Clip', *map(numpy.float32, (operation.low, operation.high)))


@_add.register
def _(operation: operations.Quantize, graph):
    graph.add_levels(operation)


@_add.register
def _(operation: operations.ReLU, graph):
    graph.apply('Relu')


@_add.register
def _(operation: operations.RPReLU, graph):
    graph.apply('Sub', graph.channels(operation.gamma))
    graph.apply('PRelu', graph.channels(operation.beta))
    graph.apply('Add', graph.channels(operation.zeta))


def _windows(operation, shape):
    """Returns the attributes of a pooling.

    The padding behind the image is written out: what ``ceil_mode`` does with
    a window that begins in it changed between versions.
    """
    after = [max(0, (n - 1) * s + k - p - size) for n, s, k, p, size in zip(
        operation.output_shape(shape)[1:], operation.stride, operation.ksize,
        operation.pad, shape[1:], strict=True)]
    if any(n >= k for n, k in zip(after, operation.ksize, strict=True)):
        raise errors.UserError(
            f'a pool of {operation.ksize} with stride {operation.stride} over '
            f'{shape} has windows outside the image: ONNX has none')
    return {'kernel_shape': operation.ksize, 'strides': operation.stride,
            'pads': [*operation.pad, *after]}


@_add.register
def _(operation: operations.MaxPooling2D, graph):
    graph.apply('MaxPool', **_windows(operation, graph.shape))


@_add.register
def _(operation: operations.AveragePooling2D, graph):
    graph.apply('AveragePool', count_include_pad=1,
                **_windows(operation, graph.shape))


@_add.register
def _(operation: operations.Mean, graph):
    graph.add_mean()


@_add.register
def _(operation: operations.Flatten, graph):
    if len(graph.shape) > 1:
        graph.apply('Flatten')


@_add.register
def _(operation: operations.KeepScale, graph):
    K = graph.node('Abs', graph.x)
    if operation.ksize is None and len(graph.shape) > 1:
        K = graph.node('Flatten', K)
    K = graph.node('ReduceMean', K, numpy.int64([1]), keepdims=1)
    if operation.ksize is not None:
        K = graph.node(
            'AveragePool', K, kernel_shape=operation.ksize,
            strides=operation.stride, pads=[*operation.pad] * 2,
            count_include_pad=1)
    graph.kept.append(K)


@_add.register
def _(operation: operations.MultiplyScale, graph):
    graph.apply('Mul', graph.kept.pop())


@_add.register
def _(operation: operations.Keep, graph):
    graph.kept.append(graph.x)


@_add.register
def _(operation: operations.Swap, graph):
    graph.kept[-1], graph.x = graph.x, graph.kept[-1]


@_add.register
def _(operation: operations.AddKept, graph):
    graph.apply('Add', graph.kept.pop())


@_add.register
def _(operation: operations.PadChannels, graph):
    rest = [0] * (len(graph.shape) - 1)
    graph.apply('Pad', numpy.int64(
        [0, operation.before, *rest, 0, operation.after, *rest]))
