#!/usr/bin/env python3
"""Speed of the kernels for training, beside NumPy, the BLAS and Chainer.

    benchmarks/kernels.py
    benchmarks/kernels.py --only weight_gradient sign_convolution rule

The products of signs stand beside the float32 BLAS, binarizing or packing
included; convolutions and pools beside Chainer's; the others beside their
definition in plain NumPy, bnn/kernels/reference.py.  Gradients have the
precision that takes less time on the processor.  A rate stands beside
each: Gop/s, or the GB/s that have to be read and written.  The memory's own
is that of the copy.

The second table shows where bnn.kernels.signs does well to pack rather than
to take the BLAS.
"""
import argparse
import functools
import math
import os
import statistics

import timing

if __name__ == '__main__':  # before a library reads it
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument('--threads', type=int, default=timing.cores())
    os.environ.update(timing.environment(early.parse_known_args()[0].threads))

import chainer
import chainer.functions as F
import numpy
from chainer.utils import conv

from bnn import memory
from bnn.kernels import batch_norm
from bnn.kernels import bits
from bnn.kernels import convolution
from bnn.kernels import elementwise
from bnn.kernels import optimizers
from bnn.kernels import pool
from bnn.kernels import products
from bnn.kernels import reference
from bnn.kernels import sign_convolution
from bnn.kernels import sign_images
from bnn.kernels import signs

random = numpy.random.RandomState(0)
# Rows, terms, columns: a layer with a batch of 100, of 1000, a large one
PRODUCTS = (100, 1000, 1000), (1000, 1024, 1024), (1024, 4096, 4096)
# Images, filters, padding: LeNet-5's second convolution, one of NIN's
CONVOLUTIONS = (((128, 20, 12, 12), (50, 20, 5, 5), 0),
                ((32, 192, 16, 16), (192, 192, 3, 3), 1))
# Images, filters, stride, padding: LeNet-5's, NIN's, ResNet-20's
GRADIENTS = (((128, 20, 12, 12), (50, 20, 5, 5), 1, 0),
             ((32, 96, 16, 16), (192, 96, 5, 5), 1, 2),
             ((100, 16, 32, 32), (32, 16, 3, 3), 2, 1))
# Activations of a layer, and of images
BATCHES = (1000, 1000), (128, 64, 32, 32)
ELEMENTS = 10 ** 6, 10 ** 7
RULE = 'rule'
RULE_ROWS, RULE_WIDTHS = (1, 4, 16, 64, 100, 1000), (64, 256, 1000, 4096)


def floats(*shape):
    return random.uniform(-1.5, 1.5, shape).astype(numpy.float32)


def binary(*shape):
    return reference.binarize(floats(*shape))


def dot_transposed(x, W):
    return x.dot(W.T)


def packed_product(x, columns):
    return bits.xnor_product(bits.pack(x), columns, x.shape[1])


def sign_product(x, W):
    return signs.Signs(W).apply(x)


def sign_convolution_of_floats(x, W, stride, pad, dilate):
    scale = W[:, 0, 0, 0]
    return sign_convolution.sign_convolution(
        sign_images.pack(x, pad), W, scale, scale, stride, dilate)


def chainer_convolution(x, W, pad, stride=1):
    with chainer.no_backprop_mode():
        return F.convolution_2d(x, W, stride=stride, pad=pad)


def chainer_input_gradient(gy, W, stride, pad, size):
    with chainer.no_backprop_mode():
        return F.deconvolution_2d(gy, W, stride=stride, pad=pad, outsize=size)


def chainer_filter_gradient(x, W, pad, gy):
    W = chainer.Variable(W)
    y = F.convolution_2d(x, W, pad=pad)
    return lambda: chainer.grad([y], [W], [chainer.Variable(gy)])


def chainer_pool(function, x, ksize, stride, pad):
    with chainer.no_backprop_mode():
        return function(x, ksize, stride, pad)


def plain_pool_gradient(gy, ksize, stride, pad, size):
    """Chainer's gradient of average-pooling, with the division left out."""
    columns = numpy.broadcast_to(
        gy[:, :, None, None], (*gy.shape[:2], *ksize, *gy.shape[2:]))
    return conv.col2im_cpu(columns, *stride, *pad, *size)


def cases(scale):
    """Yields the products and convolutions, then the passes over arrays.

    Args:
        scale (int): Divides rows and images.

    Yields:
        tuple: Name, size, our call, the call beside it, what that is, and
        operations, or bytes with a minus.
    """
    call = functools.partial
    for m, k, n in PRODUCTS:
        m = -(-m // scale)
        size, work = f'{m}x{k}x{n}', 2 * m * k * n
        x, latent, gy = binary(m, k), floats(n, k), floats(m, n)
        blas, g = call(dot_transposed, x, binary(n, k)), floats(m, k)
        columns = bits.Columns(bits.pack(latent))
        yield ('pack x + xnor_product', size,
               call(packed_product, x, columns), blas, 'BLAS', work)
        for name, operand in ('signs', x), ('floats', g):
            yield (f'{name} by signs', size,
                   call(sign_product, operand, latent), blas, 'BLAS', work)
        yield ('weight_gradient', size,
               call(signs.weight_gradient, gy, x, products.FASTER),
               call(reference.weight_gradient, gy, x), 'BLAS', work)
    for (n, *image), filters, pad in CONVOLUTIONS:
        x, W = binary(-(-n // scale), *image), binary(*filters)
        geometry = (1, 1), (pad, pad), (1, 1)
        packed = sign_images.pack(x, (pad, pad))
        gy = floats(*chainer_convolution(x, W, pad).shape)
        work = 2 * gy.size * math.prod(filters[1:])
        yield ('sign_convolution', f'{x.shape} by {W.shape}',
               call(sign_convolution_of_floats, x, W, *geometry),
               call(chainer_convolution, x, W, pad), 'Chainer', work)
        yield ('filter_gradient', f'{x.shape} by {W.shape}',
               call(convolution.filter_gradient, packed, gy, *geometry,
                    filters[2:], products.FASTER),
               chainer_filter_gradient(x, W, pad, gy), 'Chainer', work)
    for (n, *image), filters, stride, pad in GRADIENTS:
        x, W = floats(-(-n // scale), *image), binary(*filters)
        gy, size = chainer_convolution(x, W, pad, stride).array, x.shape[2:]
        yield ('input_gradient', f'{x.shape} by {W.shape}',
               call(convolution.input_gradient, gy, W, (stride, stride),
                    (pad, pad), (1, 1), size, abs(W[:, 0, 0, 0]),
                    products.FASTER),
               call(chainer_input_gradient, gy, W, stride, pad, size),
               'Chainer', 2 * gy.size * math.prod(filters[1:]))
    for shape in BATCHES:
        shape = -(-shape[0] // scale), *shape[1:]
        size, x, gy = 'x'.join(map(str, shape)), floats(*shape), floats(*shape)
        gamma, beta, mean, inv_std = (
            abs(floats(shape[1])) + .5 for _ in range(4))
        for name, values, n in (
                ('batch_norm', (x, gamma, beta, 1e-5), 3),
                ('normalize', (x, gamma, beta, mean, inv_std), 2),
                ('batch_norm_gradient', (x, gy, gamma, mean, inv_std), 5),
                ('normalized_signs', (x, gamma, beta, 1e-5), 3),
                ('normalized_signs_gradient', (
                    x, gy, gamma, beta, mean, inv_std), 5)):
            yield (name, size, call(getattr(batch_norm, name), *values),
                   call(getattr(reference, name), *values), 'NumPy',
                   -n * x.nbytes)
    geometry, size_out = ((3, 3), (2, 2), (1, 1)), (
        shape[2] // 2, shape[3] // 2)
    gy, where = pool.max_pool(x, *geometry, size_out)
    for name, args, beside, there in (
            ('max_pool', (x, *geometry, size_out),
             call(chainer_pool, F.max_pooling_2d, x, *geometry), 'Chainer'),
            ('max_pool_gradient', (gy, where, *geometry, shape[2:]),
             call(plain_pool_gradient, gy, *geometry, shape[2:]), 'NumPy'),
            ('average_pool', (x, *geometry, size_out),
             call(chainer_pool, F.average_pooling_2d, x, *geometry),
             'Chainer'),
            ('average_pool_gradient', (gy, *geometry, shape[2:]),
             call(plain_pool_gradient, gy, *geometry, shape[2:]), 'NumPy')):
        yield (name, size, call(getattr(pool, name), *args), beside, there,
               -1.25 * x.nbytes)
    for n in ELEMENTS:
        n = -(-n // scale)
        x, g, m, v = floats(n), floats(n), floats(n), abs(floats(n))
        yield ('copy', n, call(numpy.copyto, m, x), call(numpy.copyto, m, x),
               'NumPy', -8 * n)
        for module, name, values, n_passes in (
                (elementwise, 'binarize', (x,), 2),
                (elementwise, 'ste_gradient', (x, g), 3),
                (elementwise, 'relu', (x,), 2),
                (elementwise, 'relu_gradient', (x, g), 3),
                (elementwise, 'approx_sign_gradient', (x, g), 3),
                (elementwise, 'swish_sign_gradient', (x, g), 3),
                (elementwise, 'quantize', (x, 3, 0., 1.), 2),
                (elementwise, 'clip', (x, -1., 1.), 2),
                (bits, 'pack', (x.reshape(-1, n),), 33 / 32),
                (optimizers, 'adam', (
                    x, g, m, v, 1e-3, .9, .999, 1e-8, 1., 1.), 7)):
            yield (name, n, call(getattr(module, name), *values),
                   call(getattr(reference, name), *values), 'NumPy',
                   -4 * n * n_passes)


def rule(scale):
    """Yields the ways of a product with the signs of a matrix.

    Yields:
        tuple: Width, rows, and names to calls.
    """
    for k in RULE_WIDTHS:
        k = -(-k // scale)
        W = floats(k, k)
        for m in RULE_ROWS:
            x = binary(m, k)
            ways = {
                'BLAS': lambda x=x, W=W: x.dot(elementwise.binarize(W).T),
                'packed': lambda x=x, W=W: packed_product(
                    x, bits.Columns(bits.pack(W)))}
            yield k, m, ways


def main():
    parser = timing.parser(__doc__)
    parser.add_argument('--only', nargs='+', metavar='KERNEL', help=(
        f'not all of them; {RULE} for the second table'))
    parser.add_argument('--threads', type=timing.positive,
                        default=timing.cores(), metavar='N',
                        help='of each (default: the cores)')
    parser.add_argument('--scale', type=timing.positive, default=1,
                        metavar='N', help='divides the sizes')
    args = parser.parse_args()
    memory.keep()  # as the scripts do
    lines, names = [], {RULE}
    for name, size, ours, theirs, beside, work in cases(args.scale):
        names.add(name)
        if args.only and name not in args.only:
            continue
        seconds = timing.take_turns(
            {'ours': timing.Calls(ours), beside: timing.Calls(theirs)},
            args.rounds)
        mine, other = map(statistics.median, seconds.values())
        lines.append([
            name, size, f'{1e3 * mine:.3f}', f'{abs(work) / mine / 1e9:.1f}',
            'Gop/s' if work > 0 else 'GB/s', f'{beside} {1e3 * other:.3f}',
            f'{1 / timing.ratio(*seconds.values()):.1f}'])
    unknown = set(args.only or ()) - names
    if unknown:
        parser.error(f'no kernel {", ".join(sorted(unknown))}; there are: '
                     f'{", ".join(sorted(names))}')
    parts = [timing.table(
        ['kernel', 'size', 'ms', 'rate', '', 'beside, ms', 'times as fast'],
        lines)] * bool(lines)
    if RULE in (args.only or [RULE]):
        lines = []
        for k, m, ways in rule(args.scale):
            seconds = timing.take_turns(
                {name: timing.Calls(way) for name, way in ways.items()},
                args.rounds)
            lines.append([k, m, *(f'{1e3 * statistics.median(one):.3f}'
                                  for one in seconds.values())])
        parts += ['Signs of m rows by those of k columns, ms, with the '
                  'weights binarized or packed each time:',
                  timing.table(['k', 'm', *ways], lines)]
    timing.report(args, 'Kernels', parts, args.threads)


if __name__ == '__main__':
    main()
