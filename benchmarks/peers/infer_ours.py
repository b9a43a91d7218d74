#!/usr/bin/env python3
"""Contender: the packed net, or the same net in Chainer."""
import argparse
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = os.path.dirname(FOLDER), os.path.dirname(
    os.path.dirname(FOLDER))

import jobs
import timing


def packed(args):
    """Returns the jobs of the packed net, and the bytes of its file."""
    import bnn.deploy
    from bnn import kernels
    images, = jobs.load(args, 'images')
    path = os.path.join(args.files, 'net.bnn')
    net = bnn.deploy.load(path)

    def kernel(n):
        a, W = jobs.load(args, 'a', 'W')
        bits, columns = kernels.pack(a[:n]), kernels.arrange(kernels.pack(W))
        return lambda: kernels.xnor_product(bits, columns, W.shape[1])

    def with_packing(n):
        a, W = jobs.load(args, 'a', 'W')
        some, columns = a[:n], kernels.arrange(kernels.pack(W))
        return lambda: kernels.xnor_product(
            kernels.pack(some), columns, W.shape[1])

    def whole(n):
        some = images[:n]
        return lambda: net.predict(some)

    return {'net': whole, 'kernel': kernel, 'packing': with_packing}, (
        os.path.getsize(path))


def in_chainer(args):
    """Returns the jobs of the net in Chainer, and the bytes it takes."""
    import chainer

    from zoo import trained
    images, = jobs.load(args, 'images')
    net = trained.load(os.path.join(args.files, 'mlp.model'))
    chainer.config.train = False
    chainer.config.enable_backprop = False

    def whole(n):
        some = images[:n]
        return lambda: net.predictor(net.scale(some)).array.argmax(axis=1)

    def kernel(n):
        a, W = jobs.load(args, 'a', 'W')
        some = a[:n]
        return lambda: chainer.functions.linear(some, W).array

    return {'net': whole, 'kernel': kernel}, sum(
        param.array.nbytes for param in net.predictor.params())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    jobs.add_files(parser)
    parser.add_argument('--of', choices=('packed', 'chainer'),
                        default='packed')
    args = parser.parse_args()
    channel = timing.Channel()
    found, size = {'packed': packed, 'chainer': in_chainer}[args.of](args)
    jobs.serve(channel, found, model_bytes=size)


if __name__ == '__main__':
    main()
