"""Peer: what no implementation of a training iteration gets around.

``products``: the float32 matrix products of the net, forward and both
gradients, by the BLAS, into arrays that are there.  A convolution counts as
one product for each group, of its columns, which are not made here.  Left out
are the gradient of the images, and forward products of signs by signs, which
packed bits do in a small part of the time.
``activations``: one pass forward over the outputs of the products, which reads
and writes them, and one backward, which reads them and their gradient and
writes another gradient.
``optimizer``: one pass over the optimizer's arrays, which reads gradient, m,
v and parameter and writes m, v and parameter.

Its arguments are one of these words and the task of train_step.py.
"""
import json
import math
import sys

import timing

channel = timing.Channel()

import chainer
import numba
import numpy

from bnn import data
from bnn.kernels import signs
from bnn.kernels import threads
from bnn.training.command_line import parser
from bnn.training.command_line import script
from configs import find
from zoo import configured


class Functions(chainer.FunctionHook):
    """Keeps the functions of a forward pass.

    Attributes:
        found (list of tuple): Each with the shapes of its operands, and
            whether it multiplies signs by signs.
    """

    name = 'Functions'

    def __init__(self):
        self.found = []

    def forward_postprocess(self, function, in_data):
        self.found.append((
            function, [array.shape for array in in_data],
            len(in_data) > 1 and signs.is_signs(in_data[0]) and (
                'Binary' in type(function).__name__
                or _is_scaled_signs(in_data[1]))))


def _is_scaled_signs(W):
    sizes = abs(W).reshape(len(W), -1)
    return bool((sizes == sizes[:, :1]).all())


@threads.Kernel
def _optimizer(g, m, v, x):
    for i in numba.prange(g.size):
        m[i] += g[i]
        v[i] += m[i]
        x[i] += v[i]


@threads.Kernel
def _forward(y):
    for i in numba.prange(y.size):
        y[i] += 1


@threads.Kernel
def _backward(y, g, h):
    for i in numba.prange(y.size):
        h[i] = y[i] + g[i]


def products(net, batch):
    """Lists the products of a forward pass.

    Returns:
        list of tuple: (m, k, n, groups) of each, and whether it is of signs
        by signs.
    """
    with Functions() as functions, chainer.using_config('train', False):
        y = net(batch)
    found = []
    for function, shapes, of_signs in functions.found:
        if len(shapes) > 1 and any(
                word in type(function).__name__
                for word in ('Linear', 'MatMul', 'Convolution')):
            (_, n_in, *size), (n_out, *fan_in) = shapes[:2]
            groups = n_in // fan_in[0] if size else 1
            pixels = math.prod(function.outputs[0]().shape) // n_out
            found.append((pixels, math.prod(fan_in), n_out // groups, groups,
                          of_signs))
    del y  # It has kept the graph, and so the shapes of the outputs.
    return found


def multiply(shapes):
    """Returns a step that multiplies, and its operations."""
    random = numpy.random.default_rng(0)
    arrays, pairs, n_operations = {}, [], 0

    def operand(name, *shape):
        # Layers of the same shapes share them: those of NIN take 1 GB.
        if (name, shape) not in arrays:
            arrays[name, shape] = random.random(shape, numpy.float32) - .5
        return arrays[name, shape]

    for i, (m, k, n, groups, of_signs) in enumerate(shapes):
        x, W, gy = (operand('x', m, k), operand('W', n, k),
                    operand('gy', m, n))
        # y = x W^T, gW = gy^T x, and behind the first layer gx = gy W
        more = [(x, W.T)] * (not of_signs) + [(gy.T, x)] + [(gy, W)] * (i > 0)
        pairs += groups * more
        n_operations += 2 * m * k * n * groups * len(more)
    outs = {(len(a), b.shape[1]): numpy.empty(
        (len(a), b.shape[1]), numpy.float32) for a, b in pairs}

    def step():
        for a, b in pairs:
            numpy.dot(a, b, out=outs[len(a), b.shape[1]])

    return step, n_operations


def pass_activations(shapes):
    """Returns a step of the passes over activations, and its bytes."""
    sizes = [m * n * groups for m, _, n, groups, _ in shapes]
    y, g, h = (numpy.full(max(sizes), 0, numpy.float32) for _ in range(3))

    def step():
        for n in sizes:
            _forward(n, y[:n])
        for n in reversed(sizes):
            _backward(n, y[:n], g[:n], h[:n])

    return step, 20 * sum(sizes)


def pass_optimizer(net):
    """Returns a step of the pass of the optimizer, and its bytes."""
    n = sum(param.size for param in net.params())
    arrays = [numpy.full(n, value, numpy.float32) for value in (1, 0, 0, 0)]
    return lambda: _optimizer(n, *arrays), 28 * n


def main():
    kind, task = sys.argv[1], json.loads(sys.argv[2])
    config = parser.parse(find.get(task['config']), script.Parser(''),
                          argv=task['options'])
    dataset = data.Dataset(
        task['dataset'], '', numpy.zeros((1, *task['shape'])), None, None,
        None, range(task['classes']), '')
    net, _ = configured.make(config, dataset)
    batch = numpy.zeros((config.batchsize, *data.SHAPES[task['dataset']]),
                        numpy.float32)
    shapes = products(net, batch)
    step, work = {
        'products': lambda: multiply(shapes),
        'activations': lambda: pass_activations(shapes),
        'optimizer': lambda: pass_optimizer(net)}[kind]()
    channel.serve(lambda: (step, {}), work=work)


if __name__ == '__main__':
    main()
