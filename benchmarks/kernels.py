#!/usr/bin/env python3
"""Speed of each kernel, beside its definition and plain NumPy.

The kernels of bnn.kernels on the CPU, bnn/kernels/reference.py and the usual
way in NumPy take turns, on arrays of three sizes.  Beside GB/s, or Gop/s,
stands the share of the machine's own peak, measured in the same run: of a
triad, a = b + s c, over arrays of together the same size, which may fit into
a cache; or of a large float32 matrix product.  What works in place
can exceed the triad, whose result is fetched before it is written.

    benchmarks/kernels.py --only adam binarize
"""
import argparse
import functools
import inspect
import os
import sys
import typing

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import timing

if __name__ == '__main__':
    # Before a library reads it
    _early = argparse.ArgumentParser(add_help=False)
    _early.add_argument('--threads', type=timing.positive,
                        default=timing.cores())
    timing.use_threads(os.environ, _early.parse_known_args()[0].threads)

import numpy

import peaks
from bnn import kernels
from bnn.kernels import reference

FLOATS = {'small': 10 ** 4, 'medium': 10 ** 6, 'large': 10 ** 7}
random = numpy.random.RandomState(0)


class Entry(typing.NamedTuple):

    """How a kernel is measured.

    Attributes:
        make (callable): Takes a size, returns the arguments.
        plain (callable): The usual way in NumPy, of the same arguments.
        work (callable): Takes a size; returns the bytes that have to be read
            and written, or the operations.
        unit (str): ``'GB/s'`` of those bytes or ``'Gop/s'``.
        reference (callable or None): What calls the definition, where that
            takes other arguments.
        sizes (dict): Names to sizes: elements, or shapes.
    """

    make: typing.Callable
    plain: typing.Callable
    work: typing.Callable
    unit: str = 'GB/s'
    reference: typing.Callable = None
    sizes: dict = FLOATS


def floats(*shape):
    return random.uniform(-1.5, 1.5, shape).astype(numpy.float32)


def streams(n_arrays):
    """Returns what counts the bytes of float32 arrays, each passed once."""
    return lambda n: 4 * n_arrays * n


def plain_adam(x, grad, m, v, alpha, beta1, beta2, eps, keep, eta, low, high):
    # As Chainer's, and the clip
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad * grad - v)
    x -= eta * (alpha * m / (numpy.sqrt(v) + eps))
    numpy.clip(x, low, high, out=x)


def plain_ste(x, gy):
    gx = gy.copy()
    gx[abs(x) > 1] = 0
    return gx


# A kernel that is not here is named in the output.
ENTRIES = {
    'binarize': Entry(
        lambda n: [floats(n)],
        lambda x: numpy.where(x >= 0, 1, -1).astype(numpy.float32),
        streams(2)),
    'stochastic_binarize': Entry(
        lambda n: [floats(n)],
        lambda x: numpy.where(random.uniform(size=x.shape) < (x + 1) / 2,
                              1, -1).astype(numpy.float32),
        streams(2), reference=lambda x: reference.stochastic_binarize(
            x, random.uniform(size=x.shape))),
    'ste_gradient': Entry(
        lambda n: [floats(n), floats(n)], plain_ste, streams(3)),
    'approx_sign_gradient': Entry(
        lambda n: [floats(n), floats(n)],
        lambda x, gy: gy * numpy.maximum(2 - 2 * abs(x), 0), streams(3)),
    'swish_sign_gradient': Entry(
        lambda n: [floats(n), floats(n)],
        lambda x, gy: gy * (5 * (2 - 5 * x * numpy.tanh(2.5 * x))
                            / (1 + numpy.cosh(5 * x))), streams(3)),
    'quantize': Entry(
        lambda n: [floats(n), 3, 0., 1.],
        lambda x, k, low, high: numpy.round(x.clip(low, high) * k) / k,
        streams(2)),
    'clip': Entry(
        lambda n: [floats(n), -1., 1.],
        lambda x, low, high: numpy.clip(x, low, high, out=x), streams(2)),
    'adam': Entry(
        lambda n: [floats(n), floats(n), floats(n), abs(floats(n)), 1e-3, .9,
                   .999, 1e-8, 1., 1., -1., 1.], plain_adam, streams(7)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', metavar='KERNEL',
                        help='not all kernels')
    parser.add_argument('--sizes', nargs='+', metavar='SIZE',
                        help='not all sizes: small, medium, large')
    parser.add_argument('--rounds', type=timing.positive, default=7,
                        metavar='N', help='turns of each')
    parser.add_argument('--threads', type=timing.positive,
                        default=timing.cores(), metavar='N',
                        help='threads of each (default: the cores)')
    parser.add_argument('--peak-elements', type=timing.positive, metavar='N',
                        default=3 * 10 ** 7,
                        help='elements of the arrays that find the peak of '
                        'the memory')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'kernels.json'))
    args = parser.parse_args()
    ours = {name: function for name, function in vars(kernels).items()
            if inspect.isfunction(function) and not name.startswith('_')}
    unknown = set(args.only or ()) - set(ours)
    if unknown:
        parser.error('no kernel %s; there are: %s' % (
            ', '.join(sorted(unknown)), ', '.join(ours)))

    peak = find_peaks(args)
    print('peaks with %d threads: triad in cache %.0f GB/s, in memory %.0f '
          'GB/s; float32 product %.0f Gop/s\n' % (
              args.threads, *(peak[name] / 1e9 for name in (
                  'cache_bytes_per_second', 'memory_bytes_per_second',
                  'operations_per_second'))))
    results = []
    for name in args.only or ours:
        if name in ENTRIES:
            results += measure(name, ours[name], ENTRIES[name], peak, args)
    timing.print_table(
        ['kernel', 'size', 'ms', 'rate', '', 'of peak', 'reference/ours',
         'NumPy/ours'], [[
             result['kernel'], result['size'],
             '%.3f' % (1e3 * result['seconds']['ours']),
             '%.1f' % (result['per_second'] / 1e9), result['unit'],
             '%.0f %%' % (100 * result['of_peak']),
             *('%.1f' % (result['seconds'][way] / result['seconds']['ours'])
               for way in ('reference', 'numpy'))] for result in results])
    missing = [name for name in args.only or ours if name not in ENTRIES]
    if missing:
        print('\nnot measured, without an entry: ' + ', '.join(missing))
    timing.save(args.out, {
        'peaks': peak, 'rounds': args.rounds, 'results': results,
        'not_measured': missing}, args.threads)


def find_peaks(args):
    """Returns the most that this machine gives, per second."""
    # Half of the cache, over and over
    in_cache, cache_bytes = peaks.triad(peaks.cache_bytes() // 24, 100)
    in_memory, memory_bytes = peaks.triad(args.peak_elements)
    product, operations = peaks.product(min(2048, args.peak_elements))
    seconds = timing.time_in_turns(
        {'cache': in_cache, 'memory': in_memory, 'product': product},
        args.rounds)
    return {'cache_size': peaks.cache_bytes(),
            'cache_bytes_per_second': cache_bytes / seconds['cache'],
            'memory_bytes_per_second': memory_bytes / seconds['memory'],
            'operations_per_second': operations / seconds['product']}


def footprint(kernel, values):
    """Returns the bytes of a kernel's arrays, its results among them."""
    made = kernel(*values)
    return sum(array.nbytes for array in (
        *values, *(made if isinstance(made, tuple) else [made]))
        if isinstance(array, numpy.ndarray))


def measure(name, kernel, entry, peak, args):
    """Returns the results of a kernel, one for each size."""
    results = []
    for size_name, size in entry.sizes.items():
        if args.sizes and size_name not in args.sizes:
            continue
        ways = {'ours': kernel,
                'reference': entry.reference or getattr(reference, name),
                'numpy': entry.plain}
        # Each has arrays of its own: some change them.
        functions = {
            way: functools.partial(function, *entry.make(size))
            for way, function in ways.items()}
        work = entry.work(size)
        if entry.unit == 'GB/s':
            # Small ones again and again, so that the start is not in it
            functions['triad'], moved = peaks.triad(
                footprint(kernel, entry.make(size)) // 12,
                max(1, 10 ** 8 // work))
        seconds = timing.time_in_turns(functions, args.rounds)
        rate = work / seconds['ours']
        most = (moved / seconds.pop('triad') if entry.unit == 'GB/s'
                else peak['operations_per_second'])
        results.append({
            'kernel': name, 'size': size_name, 'shape': size,
            'seconds': seconds, 'per_second': rate, 'unit': entry.unit,
            'peak_per_second': most, 'of_peak': rate / most})
    return results


if __name__ == '__main__':
    main()
