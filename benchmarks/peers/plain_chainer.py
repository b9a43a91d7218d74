#!/usr/bin/env python3
"""Contender: binary_net's arithmetic on plain Chainer functions.

As binary_net has it: old-style functions, weights binarized in forward and
again in backward, Chainer's own Adam, every parameter clipped after the
update, float images, a loop of one's own that asks for the loss each time.
"""
import argparse
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = os.path.dirname(FOLDER), os.path.dirname(
    os.path.dirname(FOLDER))

import chainer
import chainer.links as L
import numpy
from chainer import initializers
from chainer.backends import cuda

import timing


def sign(x):
    if isinstance(x, numpy.ndarray):
        return numpy.where(x >= 0, 1, -1).astype(numpy.float32, copy=False)
    return cuda.elementwise(
        'T x', 'T y', 'y = x >= 0 ? 1 : -1', 'plain_sign')(x)


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
                setattr(self, 'l%d' % i, BinaryLinear(*sizes[i - 1:i + 1]))
                setattr(self, 'b%d' % i, L.BatchNormalization(sizes[i]))

    def forward(self, h):
        for i in range(1, self.n_layers + 1):
            h = self['b%d' % i](self['l%d' % i](h))
            if i < self.n_layers:
                h = BST()(h)
        return h


class WeightClip(object):

    name = 'WeightClip'
    timing = 'post'

    def __call__(self, optimizer):
        for param in optimizer.target.params():
            chainer.backend.get_array_module(param.array).clip(
                param.array, -1, 1, out=param.array)


def make(sizes, device):
    """Returns the model and its optimizer."""
    model = L.Classifier(MLP(sizes))
    model.to_device(device)
    optimizer = chainer.optimizers.Adam().setup(model)
    optimizer.add_hook(WeightClip())
    return model, optimizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    timing.add_net(parser)
    args = parser.parse_args()
    channel = timing.Channel()
    numpy.random.seed(0)
    device = chainer.get_device(args.gpu if args.gpu >= 0 else '@numpy')
    device.use()
    xp = device.xp
    images, labels = timing.images(args.images)
    images = images.reshape(len(images), -1).astype(numpy.float32) / 255
    model, optimizer = make(timing.sizes(args), device)
    order, sums = [], [0., 0.]

    def step():
        if len(order) < args.batchsize:
            order[:] = numpy.random.permutation(len(labels))
        batch = numpy.array(order[-args.batchsize:])
        del order[-args.batchsize:]
        x = chainer.Variable(xp.asarray(images[batch]))
        t = chainer.Variable(xp.asarray(labels[batch]))
        optimizer.update(model, x, t)
        loss = float(model.loss.array)
        sums[0] += loss * len(batch)
        sums[1] += float(model.accuracy.array) * len(batch)
        return loss

    channel.ready()
    channel.serve(step, None if args.gpu < 0 else device.device.synchronize)


if __name__ == '__main__':
    main()
