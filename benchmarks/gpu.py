#!/usr/bin/env python3
"""Speed of the CUDA kernels and of a packed net on a GPU.

Each result is compared with the CPU's before it is timed.  Kernels are timed
by the GPU's own clock, over many calls that were all started before; beside
the time stands what is read and written in a second, or computed; what takes
a few microseconds waits for Python, which starts it.  The net is
784-1000-1000-10 with random signs as weights, as BinaryNet's for MNIST:

  GPU      the layers alone, from pixels on the GPU to scores there
  predict  from pixels on the GPU to classes in the host's memory
  host     from pixels in the host's memory, which are copied first

    benchmarks/gpu.py --batch 100 10000
"""
import argparse
import functools
import os
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import numpy

import net
import timing
from bnn import kernels
from bnn.deploy import gpu_runtime
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import runtime

random = numpy.random.RandomState(0)
# Activations of a layer and of images
BATCHES = (100, 1000), (10000, 1000), (128, 64, 32, 32)
# Rows, products in each sum, columns
PRODUCTS = (100, 1000, 1000), (10000, 1000, 1000), (1024, 4096, 4096)


def floats(*shape):
    return random.standard_normal(shape).astype(numpy.float32)


def cases(scale):
    """Yields what is timed.

    Args:
        scale (int): Divisor of the numbers of rows.

    Yields:
        tuple: Name, function, arguments, and the bytes or operations.
    """
    for shape in BATCHES:
        shape = max(shape[0] // scale, 2), *shape[1:]
        x, gy = floats(*shape), floats(*shape)
        gamma, beta, mean = floats(3, shape[1])
        inv_std = abs(floats(shape[1])) + .5
        yield ('batch_norm with sign', kernels.batch_norm,
               (x, gamma, beta, 1e-4, True), 3 * x.nbytes)
        yield ('normalize with sign', kernels.normalize,
               (x, gamma, beta, mean, inv_std, True), 2 * x.nbytes)
        yield ('batch_norm_gradient', kernels.batch_norm_gradient,
               (x, gy, gamma, beta, mean, inv_std, True), 5 * x.nbytes)
        yield 'binarize', kernels.binarize, (x,), 2 * x.nbytes
        yield 'pack', kernels.pack, (x,), 33 / 32 * x.nbytes
    for m, k, n in PRODUCTS:
        m = max(m // scale, 2)
        x, W = kernels.binarize(floats(m, k)), floats(n, k)
        yield ('xnor_product', kernels.xnor_product,
               (kernels.pack(x), kernels.pack(W), k), 2 * m * k * n)
        yield 'sign_product', kernels.sign_product, (x, W), 2 * m * k * n


def check(name, found, expected):
    """Compares results: arrays, or tuples of them."""
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for ours, theirs in zip(found, expected, strict=True):
        ours = ours.get()
        if 'sign' in name and set(numpy.unique(theirs)) == {-1, 1}:
            # What is next to 0 may have another sign.
            wrong = (ours != theirs).mean() > 1e-4
        else:
            wrong = abs(ours - theirs.astype(ours.dtype)).max() > 1e-4 * max(
                abs(theirs).max(), 1)
        if wrong:
            sys.exit('%s: the GPU computes something else' % name)


def seconds_of(cupy, function, calls):
    """Returns the seconds of a call on the GPU, the median of some."""
    function()
    found = []
    for _ in range(5):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        for _ in range(calls):
            function()
        end.record()
        end.synchronize()
        found.append(cupy.cuda.get_elapsed_time(start, end) / 1e3 / calls)
    return float(numpy.median(found))


def wall_seconds(function, calls):
    """Returns the seconds of a call that waits for its result."""
    function()
    found = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            function()
        found.append((time.perf_counter() - start) / calls)
    return float(numpy.median(found))


def measure_kernels(cupy, args):
    for name, function, values, work in cases(args.scale):
        there = [cupy.asarray(v) if isinstance(v, numpy.ndarray) else v
                 for v in values]
        here = values
        if function is kernels.xnor_product:
            here = values[0], kernels.arrange(values[1]), values[2]
        check(name, function(*there), function(*here))
        seconds = seconds_of(
            cupy, functools.partial(function, *there), args.calls)
        shape = 'x'.join(map(str, values[0].shape))
        if 'product' in name:
            shape += ' * ' + 'x'.join(map(str, values[1].shape))
        yield {'kernel': name, 'size': shape, 'seconds': seconds,
               'per_second': work / seconds,
               'unit': 'Gop/s' if 'product' in name else 'GB/s'}


def measure_net(cupy, args):
    found = net.BinaryMLP(args.unit).describe()
    packed = packing.pack(found, (1, 28, 28), operations.Rescale(kind='unit'),
                          map(str, range(10)))
    ours, on_cpu = gpu_runtime.GPUNet(packed), runtime.Net(packed)
    for batch in args.batch:
        images = timing.images(batch)[0].reshape(batch, 1, 28, 28)
        there = cupy.asarray(images)
        if (ours.predict(there) != on_cpu.predict(images)).any():
            sys.exit('the GPU finds other classes')
        on_gpu, to_host, from_host = (
            functools.partial(function, x) for function, x in (
                (ours.parts, there), (ours.predict, there),
                (ours.predict, images)))
        for way, seconds in (
                ('GPU', seconds_of(cupy, on_gpu, args.calls)),
                ('predict', wall_seconds(to_host, args.calls)),
                ('host', wall_seconds(from_host, args.calls))):
            yield {'batch': batch, 'of': way, 'seconds': seconds,
                   'images_per_second': batch / seconds}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--batch', type=timing.positive, nargs='+',
                        default=[1, 100, 1000, 10000], metavar='N',
                        help='batch sizes of the net')
    parser.add_argument('--unit', type=timing.positive, default=1000,
                        metavar='N', help='units in each hidden layer')
    parser.add_argument('--calls', type=timing.positive, default=100,
                        metavar='N', help='calls that are timed together')
    parser.add_argument('--scale', type=timing.positive, default=1,
                        metavar='N', help="divides the kernels' batches")
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'gpu.json'))
    args = parser.parse_args(argv)
    import cupy
    of_kernels = list(measure_kernels(cupy, args))
    timing.print_table(['kernel', 'size', 'us', 'rate', ''], [[
        one['kernel'], one['size'], '%.1f' % (1e6 * one['seconds']),
        '%.0f' % (one['per_second'] / 1e9), one['unit']]
        for one in of_kernels])
    of_net = list(measure_net(cupy, args))
    print()
    timing.print_table(['batch', 'of', 'us', 'images/s'], [[
        str(one['batch']), one['of'], '%.1f' % (1e6 * one['seconds']),
        format(round(one['images_per_second']), ',')] for one in of_net])
    timing.save(args.out, {'kernels': of_kernels, 'net': of_net}, 1)


if __name__ == '__main__':
    main()
