"""Peer: binary_net's arithmetic on plain Chainer functions.

As binary_net has it: old-style functions, weights binarized in forward and
again in backward, Chainer's own Adam, every parameter clipped after the
update, float images, a loop of one's own that asks for the loss each time.

Its argument is the task of train_step.py, as JSON.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import chainer
import chainer.links as L
import numpy
from chainer import initializers

import timing


def sign(x):
    return numpy.where(x >= 0, 1, -1).astype(numpy.float32, copy=False)


class BinaryLinearFunction(chainer.Function):

    def forward(self, inputs):
        x, W, b = inputs
        y = x.dot(sign(W).T)
        y += b
        return y,

    def backward(self, inputs, grad_outputs):
        x, W, b = inputs
        gy, = grad_outputs
        return gy.dot(sign(W)), gy.T.dot(x), gy.sum(0)


class BST(chainer.Function):

    def forward(self, inputs):
        return sign(inputs[0]),

    def backward(self, inputs, grad_outputs):
        gx = grad_outputs[0].copy()
        gx[abs(inputs[0]) > 1] = 0
        return gx,


class BinaryLinear(chainer.Link):

    def __init__(self, n_in, n_out):
        super().__init__()
        with self.init_scope():
            self.W = chainer.Parameter(
                initializers.LeCunNormal(), (n_out, n_in))
            self.b = chainer.Parameter(0, n_out)

    def forward(self, x):
        return BinaryLinearFunction()(x, self.W, self.b)


class MLP(chainer.Chain):

    def __init__(self, sizes):
        super().__init__()
        self.n_layers = len(sizes) - 1
        with self.init_scope():
            for i in range(1, len(sizes)):
                setattr(self, f'l{i}', BinaryLinear(*sizes[i - 1:i + 1]))
                setattr(self, f'b{i}', L.BatchNormalization(sizes[i]))

    def forward(self, h):
        for i in range(1, self.n_layers + 1):
            h = self[f'b{i}'](self[f'l{i}'](h))
            if i < self.n_layers:
                h = BST()(h)
        return h


class WeightClip:

    name = 'WeightClip'
    timing = 'post'

    def __call__(self, optimizer):
        for param in optimizer.target.params():
            param.array.clip(-1, 1, out=param.array)


def make(sizes):
    """Returns the model and its optimizer."""
    model = L.Classifier(MLP(sizes))
    optimizer = chainer.optimizers.Adam().setup(model)
    optimizer.add_hook(WeightClip())
    return model, optimizer


def main():
    channel, task = timing.Channel(), json.loads(sys.argv[1])
    if task['config'] != 'binary_net':
        channel.unavailable('it is of binary_net alone')
    numpy.random.seed(0)
    images, labels = timing.images(task['images'])
    images = images.reshape(len(images), -1).astype(numpy.float32) / 255
    unit, n = task['unit'], task['batchsize']
    model, optimizer = make([784, unit, unit, 10])
    order = []

    def step():
        if len(order) < n:
            order[:] = numpy.random.permutation(len(labels))
        batch = numpy.array(order[-n:])
        del order[-n:]
        optimizer.update(model, chainer.Variable(images[batch]),
                         chainer.Variable(labels[batch]))
        return float(model.loss.array), float(model.accuracy.array)

    channel.serve(lambda: (step, {}))


if __name__ == '__main__':
    main()
