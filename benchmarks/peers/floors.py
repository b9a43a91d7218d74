"""Peer: what no implementation of a training iteration gets around.

``products``: the multiply-adds of the net, forward and both gradients, at the
rate of the processor's best instructions: that of tiles whose operands stay in
the cache, see :mod:`bnn.kernels.float_tiles`.  Signs by signs take
XNOR and popcount; what is rounded to bfloat16, the unit for it; other numbers
by signs, tables of sums; numbers by numbers, float32.  Left out is the
gradient of the images.
``activations``: one pass forward over the outputs of the products, which reads
and writes them, and one backward, which reads them and their gradient and
writes another gradient.
``optimizer``: one pass over the optimizer's arrays, which reads gradient, m,
v and parameter and writes m, v and parameter.

Its arguments are one of these words and the task of train_step.py.
"""
import collections
import json
import math
import sys

import timing

channel = timing.Channel()

import chainer
import numba
import numpy

from bnn import data
from bnn.kernels import float_tiles
from bnn.kernels import products
from bnn.kernels import signs
from bnn.kernels import threads
from bnn.kernels import tiles
from bnn.training.command_line import parser
from bnn.training.command_line import script
from configs import find
from zoo import configured

# Signs by signs, beside the tiles of float_tiles
_XNOR = 4
# Terms in a word of a panel
_TERMS = {float_tiles.FLOATS: 1, float_tiles.PAIRS: 2, float_tiles.MATRIX: 2,
          float_tiles.SIGNS: 1, _XNOR: 32}
# Whole tiles of each kind.  Tables of sums are made once for all rows.
_ROWS, _WORDS = 384, 64


class Products(chainer.FunctionHook):
    """Notes the products of a forward pass.

    Attributes:
        found (list of tuple): Of each: the function, the terms of an output,
            whether the input and the weights are signs, and the precision of
            the gradients.
    """

    name = 'Products'

    def __init__(self, precision):
        self.found = []
        self._precision = precision

    def forward_postprocess(self, function, in_data):
        kind = type(function).__name__
        if len(in_data) < 2 or not any(
                word in kind for word in ('Linear', 'MatMul', 'Convolution')):
            return
        x, W = in_data[:2]
        of_signs = 'Binary' in kind or _is_scaled_signs(W)
        self.found.append((
            function, math.prod(W.shape[1:]), signs.is_signs(x), of_signs,
            self._precision if of_signs or 'Convolution' in kind
            else 'float32'))


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


@threads.Kernel
def _multiply(tile, n, rows, panel, y):
    n_parts = len(y)
    for part in numba.prange(n_parts):
        sums = y[part]
        for _ in range(part * n // n_parts, (part + 1) * n // n_parts):
            if tile == _XNOR:
                for i in range(0, len(rows), tiles.ROWS):
                    tiles.xnor_tile(
                        rows[i:].ctypes.data, rows.strides[0],
                        panel.ctypes.data, len(panel), 32 * len(panel),
                        sums[i:].ctypes.data, sums.strides[0])
            else:
                float_tiles.multiply(
                    tile, rows.ctypes.data, rows.strides[0], len(rows),
                    panel.ctypes.data, len(panel), panel.shape[1],
                    sums.ctypes.data, sums.strides[0])


def find_products(net, batch, precision):
    """Finds the products of a forward pass.

    Returns:
        list of tuple: See :class:`Products`, with the number of outputs in
        place of the function.
    """
    with Products(precision) as hook, chainer.using_config('train', False):
        y = net(batch)
    found = [(math.prod(function.outputs[0]().shape), *more)
             for function, *more in hook.found]
    del y  # It has kept the graph, and so the shapes of the outputs.
    return found


def choose(a_is_signs, b_is_signs, precision):
    """Chooses the tile for a product of two operands."""
    if a_is_signs and b_is_signs:
        return _XNOR
    if not products.has_tables(precision):
        return float_tiles.UNIT
    if a_is_signs or b_is_signs:
        return float_tiles.SIGNS
    return float_tiles.FLOATS


def multiply(found):
    """Returns a step that multiplies, and its operations."""
    counts = collections.Counter()
    for i, (n_outputs, n_terms, x_is_signs, W_is_signs,
            precision) in enumerate(found):
        n = n_outputs * n_terms
        counts[choose(x_is_signs, W_is_signs, 'float32')] += n
        counts[choose(x_is_signs, False, precision)] += n
        if i > 0:
            counts[choose(W_is_signs, False, precision)] += n
    rows = numpy.zeros((_ROWS, _WORDS), numpy.uint32)
    panel = numpy.zeros((_WORDS, float_tiles.COLUMNS), numpy.uint32)
    y = numpy.zeros((numba.get_num_threads(), _ROWS, float_tiles.COLUMNS),
                    numpy.float32)

    def step():
        for tile, n in counts.items():
            n_tiles = -(-n // (_ROWS * panel.size * _TERMS[tile]))
            _multiply(n, tile, n_tiles, rows, panel, y)

    return step, 2 * counts.total()


def pass_activations(found):
    """Returns a step of the passes over activations, and its bytes."""
    sizes = [n for n, *_ in found]
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
    found = find_products(net, batch, config.precision)
    step, work = {
        'products': lambda: multiply(found),
        'activations': lambda: pass_activations(found),
        'optimizer': lambda: pass_optimizer(net)}[kind]()
    channel.serve(lambda: (step, {}), work=work)


if __name__ == '__main__':
    main()
