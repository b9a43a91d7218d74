#!/usr/bin/env python3
"""Contender: what no implementation of the step gets around.

``products``: the float32 matrix products of the net at the speed of the BLAS,
into arrays that are there.  ``memory``: one pass over the optimizer's arrays,
reading gradient, m, v and parameter, writing m, v and parameter.
"""
import argparse
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(FOLDER))

import numpy

import timing


def products(args, xp):
    """Returns a function that does the products, and how many operations."""
    sizes = timing.sizes(args)
    random = numpy.random.RandomState(0)

    def array(*shape):
        return xp.asarray(random.uniform(-1, 1, shape), numpy.float32)

    pairs, n_operations = [], 0
    for i, (n_in, n_out) in enumerate(zip(sizes, sizes[1:])):
        x, W, gy = (array(args.batchsize, n_in), array(n_out, n_in),
                    array(args.batchsize, n_out))
        # y = x W^T, gW = gy^T x, and behind the first layer gx = gy W
        pairs += [(x, W.T), (gy.T, x)] + [(gy, W)] * (i > 0)
        n_operations += 2 * x.shape[0] * n_in * n_out * (3 if i else 2)
    outs = [xp.empty((a.shape[0], b.shape[1]), numpy.float32)
            for a, b in pairs]

    def step():
        for (a, b), out in zip(pairs, outs):
            xp.dot(a, b, out=out)

    return step, {'operations': n_operations}


def memory(args, xp):
    """Returns a function that does the pass, and how many bytes it moves."""
    sizes = timing.sizes(args)
    # With the biases, gammas and betas
    n = sum((n_in + 3) * n_out for n_in, n_out in zip(sizes, sizes[1:]))
    arrays = [xp.full(n, value, numpy.float32) for value in (1, 0, 0, 0)]
    touch = _touch() if xp is numpy else xp.ElementwiseKernel(
        'T g', 'T m, T v, T x', 'm += g; v += m; x += v', 'floor_memory')
    return lambda: touch(*arrays), {'bytes': n * 4 * 7}


def _touch():
    import numba
    numba.set_num_threads(int(os.environ['OMP_NUM_THREADS']))

    @numba.njit(parallel=True)
    def touch(g, m, v, x):
        for i in numba.prange(g.size):
            m[i] += g[i]
            v[i] += m[i]
            x[i] += v[i]

    return touch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    timing.add_net(parser)
    parser.add_argument('--of', choices=('products', 'memory'),
                        required=True)
    args = parser.parse_args()
    channel = timing.Channel()
    xp, synchronize = numpy, None
    if args.gpu >= 0:
        import cupy as xp
        device = xp.cuda.Device(args.gpu)
        device.use()
        synchronize = device.synchronize
    step, facts = {'products': products, 'memory': memory}[args.of](args, xp)
    channel.ready(**facts)
    channel.serve(step, synchronize)


if __name__ == '__main__':
    main()
