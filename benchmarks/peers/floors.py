"""Peer: what no implementation of a training iteration gets around.

``products``: the float32 matrix products of the net, forward and both
gradients, by the BLAS, into arrays that are there.  A convolution counts as
one product for each group, of its columns, which are not made here.
``memory``: one pass over the optimizer's arrays, which reads gradient, m, v
and parameter and writes m, v and parameter.

Its arguments are one of these words and the task of train_step.py.
"""
import json
import math
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = os.path.dirname(FOLDER), os.path.dirname(
    os.path.dirname(FOLDER))

import timing

channel = timing.Channel()

import chainer
import numba
import numpy

from bnn import data
from bnn.kernels import threads
from bnn.training.command_line import parser
from bnn.training.command_line import script
from configs import find
from zoo import configured


class Functions(chainer.FunctionHook):
    """Keeps the functions of a forward pass.

    Attributes:
        found (list of tuple): Each with the shapes of its operands.
    """

    name = 'Functions'

    def __init__(self):
        self.found = []

    def forward_postprocess(self, function, in_data):
        self.found.append((function, [array.shape for array in in_data]))


@threads.Kernel
def _pass(g, m, v, x):
    for i in numba.prange(g.size):
        m[i] += g[i]
        v[i] += m[i]
        x[i] += v[i]


def products(net, batch):
    """Lists the products of a forward pass: (m, k, n, groups) of each."""
    with Functions() as functions, chainer.using_config('train', False):
        y = net(batch)
    found = []
    for function, shapes in functions.found:
        if len(shapes) > 1 and any(
                word in type(function).__name__
                for word in ('Linear', 'MatMul', 'Convolution')):
            (_, n_in, *size), (n_out, *fan_in) = shapes[:2]
            groups = n_in // fan_in[0] if size else 1
            pixels = math.prod(function.outputs[0]().shape) // n_out
            found.append((pixels, math.prod(fan_in), n_out // groups, groups))
    del y  # It has kept the graph, and so the shapes of the outputs.
    return found


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
    if kind == 'memory':
        n = sum(param.size for param in net.params())
        arrays = [numpy.full(n, value, numpy.float32)
                  for value in (1, 0, 0, 0)]
        channel.serve(lambda: (lambda: _pass(n, *arrays), {}), bytes=28 * n)
    random = numpy.random.default_rng(0)
    pairs, n_operations = [], 0
    for i, (m, k, n, groups) in enumerate(shapes):
        x, W, gy = (random.random(shape, numpy.float32) - .5
                    for shape in ((m, k), (n, k), (m, n)))
        # y = x W^T, gW = gy^T x, and behind the first layer gx = gy W
        pairs += groups * [(x, W.T), (gy.T, x), *[(gy, W)] * (i > 0)]
        n_operations += 2 * m * k * n * groups * (3 if i else 2)
    outs = {(len(a), b.shape[1]): numpy.empty(
        (len(a), b.shape[1]), numpy.float32) for a, b in pairs}

    def step():
        for a, b in pairs:
            numpy.dot(a, b, out=outs[len(a), b.shape[1]])

    channel.serve(lambda: (step, {}), operations=n_operations)


if __name__ == '__main__':
    main()
