#!/usr/bin/env python3
"""Speed of each kernel, beside its definition and plain NumPy.

The kernels of bnn.kernels on the CPU, bnn/kernels/reference.py and the usual
way in NumPy take turns, on arrays of three sizes.  Beside GB/s, or Gop/s,
stands the share of the machine's own peak, measured in the same run: of a
triad, a = b + s c, over arrays of together the same size, which may fit into
a cache; or of a large float32 matrix product.  What works in place
can exceed the triad, whose result is fetched before it is written, and
popcount exceeds the float32 product.

The products of signs stand beside the same float32 matrices in the BLAS, the
convolutions beside Chainer's.  Last tables show where the packed product, and
the processor's matrix unit if it has one, are faster than the BLAS, packing
and binarizing included: what kernels.sign_product and kernels.signs decide
by.

    benchmarks/kernels.py --only adam binarize rule
"""
import argparse
import functools
import inspect
import math
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
from bnn.kernels import amx
from bnn.kernels import cpu
from bnn.kernels import cpu_tiles
from bnn.kernels import reference

FLOATS = {'small': 10 ** 4, 'medium': 10 ** 6, 'large': 10 ** 7}
# The second are the activations of a layer, the third those of images.
BATCHES = {'small': (100, 100), 'medium': (1000, 1000),
           'large': (128, 64, 32, 32)}
# The first of LeNet-5's, and one of AlexNet's
IMAGES = {'small': (2, 3, 8, 8), 'lenet5': (128, 20, 24, 24),
          'alexnet': (16, 256, 27, 27)}
MATRICES = {'small': (100, 100), 'medium': (1000, 1000),
            'large': (4096, 4096)}
# Rows, products in each sum, columns
PRODUCTS = {'small': (60, 100, 70), '100x1000x1000': (100, 1000, 1000),
            '1000x1024x1024': (1000, 1024, 1024),
            '1024x4096x4096': (1024, 4096, 4096)}
# Images, filters, padding: the second convolution of LeNet-5, one of NIN's
CONVOLUTIONS = {'small': ((2, 20, 6, 6), (9, 20, 3, 3), 0),
                'lenet5': ((128, 20, 12, 12), (50, 20, 5, 5), 0),
                'nin': ((32, 192, 16, 16), (192, 192, 3, 3), 1)}
# The definition of a product takes its time, and memory.
MOST_BY_DEFINITION = 10 ** 7
# Of --only: not a kernel, but the table of sign_product's rule
RULE = 'rule'
RULE_ROWS = 1, 2, 4, 8, 16, 64, 100, 1000
RULE_WIDTHS = {'small': 64, 'medium': 256, 'large': 1000, 'huge': 4096}
random = numpy.random.RandomState(0)


class Entry(typing.NamedTuple):

    """How a kernel is measured.

    Attributes:
        make (callable): Takes a size, returns the arguments.
        plain (callable): The usual way, in NumPy, of the same arguments.
        work (callable): Takes a size; returns the bytes that have to be read
            and written, or the operations.
        unit (str): ``'GB/s'`` of those bytes or ``'Gop/s'``.
        reference (callable or None): What calls the definition, where that
            takes other arguments.
        sizes (dict): Names to sizes: elements, or shapes.
        ours (callable or None): What calls the kernel, where it is not
            called as it is.
        make_plain (callable or None): As ``make``, of the arguments of
            ``plain`` where they are others; the definition, which would
            take other ones again, is left out then.
        beside (str): What ``plain`` is.
    """

    make: typing.Callable
    plain: typing.Callable
    work: typing.Callable
    unit: str = 'GB/s'
    reference: typing.Callable = None
    sizes: dict = FLOATS
    ours: typing.Callable = None
    make_plain: typing.Callable = None
    beside: str = 'NumPy'


def floats(*shape):
    return random.uniform(-1.5, 1.5, shape).astype(numpy.float32)


def signs(*shape):
    return kernels.binarize(floats(*shape))


def pixels(*shape):
    return random.randint(0, 256, shape).astype(numpy.float32) / 255


def streams(n_arrays):
    """Returns what counts the bytes of float32 arrays, each passed once."""
    return lambda size: int(4 * n_arrays * numpy.prod(size))


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


def plain_momentum_sgd(x, grad, v, lr, momentum, low, high):
    v *= momentum
    v -= lr * grad
    x += v
    numpy.clip(x, low, high, out=x)


def plain_normalize(x, gamma, beta, mean, inv_std, sign):
    gamma, beta, mean, inv_std = (
        v.reshape(-1, *(1,) * (x.ndim - 2))
        for v in (gamma, beta, mean, inv_std))
    y = gamma * ((x - mean) * inv_std) + beta
    return numpy.where(y >= 0, 1, -1).astype(x.dtype) if sign else y


def plain_batch_norm(x, gamma, beta, eps, sign):
    axis = (0, *range(2, x.ndim))
    mean, var = x.mean(axis), x.var(axis)
    return plain_normalize(x, gamma, beta, mean, 1 / numpy.sqrt(var + eps),
                           sign)


def plain_batch_norm_gradient(x, gy, gamma, beta, mean, inv_std, sign):
    axis, shape = (0, *range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))
    gamma, beta, mean, inv_std = (
        v.reshape(shape) for v in (gamma, beta, mean, inv_std))
    x_hat = (x - mean) * inv_std
    if sign:
        gy = plain_ste(gamma * x_hat + beta, gy)
    gbeta, ggamma = gy.sum(axis), (gy * x_hat).sum(axis)
    n = x.size // gamma.size
    return gamma * inv_std * (gy - (
        x_hat * ggamma.reshape(shape) + gbeta.reshape(shape)) / n)


def plain_moving_averages(running_mean, running_var, mean, var, m, decay):
    for running, new in ((running_mean, mean),
                         (running_var, m / (m - 1) * var)):
        running *= decay
        running += (1 - decay) * new


def channels(size):
    """Makes gamma, beta, mean and the reciprocal of the deviation."""
    return [random.uniform(.5, 1.5, size[1]).astype(numpy.float32)
            for _ in range(4)]


def plain_pack(x):
    return numpy.packbits(x >= 0, axis=-1, bitorder='little')


def plain_arrange(bits):
    whole = bits[:len(bits) // 64 * 64]
    return numpy.ascontiguousarray(whole.reshape(
        -1, 64, bits.shape[1]).transpose(0, 2, 1))


def plain_convolution(x, W, pad):
    import chainer
    with chainer.no_backprop_mode():
        return chainer.functions.convolution_2d(x, W, pad=pad)


def pooling(size):
    return (2, 2), (2, 2), tuple(-(-side // 2) for side in size[2:])


def plain_max_pool(x, ksize, stride, out_size):
    import chainer
    with chainer.no_backprop_mode():
        return chainer.functions.max_pooling_2d(x, ksize, stride)


def plain_max_pool_gradient(gy, where, size):
    gx = numpy.zeros((*gy.shape[:2], math.prod(size)), gy.dtype)
    numpy.put_along_axis(gx, where.reshape(*gy.shape[:2], -1),
                         gy.reshape(*gy.shape[:2], -1), 2)
    return gx


def sign_convolution(x, W, pad, convolve=kernels.sign_convolution):
    return convolve(x, W, (1, 1), (pad, pad), (1, 1))


def of_product(size):
    m, k, n = size
    return 2 * m * k * n


def of_convolution(size):
    (n, _, height, width), W, pad = size
    pixels = math.prod(side + 2 * pad - k + 1 for side, k in (
        (height, W[2]), (width, W[3])))
    return of_product((n * pixels, math.prod(W[1:]), W[0]))


def float_product(x, W):
    return x.dot(W.T)


def factors(size):
    m, k, n = size
    return [signs(m, k), signs(n, k)]


def packed_once(size):
    # As of a net whose weights do not change
    x, W = map(kernels.pack, factors(size))
    return [x, kernels.arrange(W), size[1]]


BLAS = {'unit': 'Gop/s', 'sizes': PRODUCTS, 'beside': 'BLAS'}

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
    'momentum_sgd': Entry(
        lambda n: [floats(n), floats(n), floats(n), .1, .9, -1., 1.],
        plain_momentum_sgd, streams(5)),
    'batch_norm': Entry(
        lambda size: [floats(*size), *channels(size)[:2], 1e-5, True],
        plain_batch_norm, streams(3), sizes=BATCHES),
    'max_pool': Entry(
        lambda size: [floats(*size), *pooling(size)],
        plain_max_pool, streams(1.5), sizes=IMAGES),
    'max_pool_gradient': Entry(
        lambda size: [*kernels.max_pool(floats(*size), *pooling(size)),
                      size[2:]],
        plain_max_pool_gradient, streams(1.5), sizes=IMAGES),
    'normalize': Entry(
        lambda size: [floats(*size), *channels(size), True],
        plain_normalize, streams(2), sizes=BATCHES),
    'batch_norm_gradient': Entry(
        lambda size: [floats(*size), floats(*size), *channels(size), True],
        plain_batch_norm_gradient, streams(5), sizes=BATCHES),
    'moving_averages': Entry(
        lambda n: [*(abs(floats(n)) for _ in range(4)), 100, .9],
        plain_moving_averages, streams(6)),
    'pack': Entry(lambda size: [floats(*size)], plain_pack,
                  streams(33 / 32), sizes=MATRICES),
    'arrange': Entry(
        lambda size: [kernels.pack(floats(*size))], plain_arrange,
        streams(2 / 32), sizes=MATRICES,
        ours=lambda bits: kernels.arrange(bits).tiles),
    'xnor_product': Entry(
        packed_once, float_product, of_product, make_plain=factors, **BLAS),
    'pack x + xnor_product': Entry(
        lambda size: [signs(*size[:2]), packed_once(size)[1]], float_product,
        of_product, make_plain=factors,
        ours=lambda x, columns: kernels.xnor_product(
            kernels.pack(x), columns, x.shape[1]), **BLAS),
    'sign_product': Entry(factors, float_product, of_product, **BLAS),
    # Floats by the signs of weights, from the weights on
    'signs': Entry(
        lambda size: [floats(*size[:2]), floats(*size[:0:-1])],
        float_product, of_product,
        ours=lambda x, W: kernels.signs(W).apply(x), **BLAS),
    'weight_gradient': Entry(
        lambda size: [floats(*size[::2]), pixels(*size[:2])],
        lambda gy, x: gy.T.dot(x), of_product, **BLAS),
    'sign_convolution': Entry(
        lambda size: [signs(*size[0]), signs(*size[1]), size[2]],
        plain_convolution, of_convolution, 'Gop/s',
        functools.partial(
            sign_convolution, convolve=reference.sign_convolution),
        CONVOLUTIONS, sign_convolution, beside='Chainer'),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', metavar='KERNEL',
                        help='not all kernels; %s for the table of '
                        "sign_product's rule" % RULE)
    parser.add_argument('--sizes', nargs='+', metavar='SIZE',
                        help='not all sizes: small, medium, large and others, '
                        'see the table')
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
    names = list(dict.fromkeys([*ours, *ENTRIES, RULE]))
    unknown = set(args.only or ()) - set(names)
    if unknown:
        parser.error('no kernel %s; there are: %s' % (
            ', '.join(sorted(unknown)), ', '.join(names)))
    names = args.only or names

    peak = find_peaks(args)
    print('peaks with %d threads: triad in cache %.0f GB/s, in memory %.0f '
          'GB/s; float32 product %.0f Gop/s\n' % (
              args.threads, *(peak[name] / 1e9 for name in (
                  'cache_bytes_per_second', 'memory_bytes_per_second',
                  'operations_per_second'))))
    results = []
    for name in names:
        if name in ENTRIES:
            results += measure(name, ours.get(name), ENTRIES[name], peak, args)
    print_results(results)
    rule = measure_rule(args) if RULE in names else []
    print_rule(rule)
    missing = [name for name in names if name not in (*ENTRIES, RULE)]
    if missing:
        print('\nnot measured, without an entry: ' + ', '.join(missing))
    timing.save(args.out, {
        'peaks': peak, 'rounds': args.rounds, 'results': results,
        'rule': rule, 'not_measured': missing}, args.threads)


def print_results(results):
    timing.print_table(
        ['kernel', 'size', 'ms', 'rate', '', 'of peak', 'reference/ours',
         'NumPy/ours'], [[
             result['kernel'], result['size'],
             '%.3f' % (1e3 * result['seconds']['ours']),
             '%.1f' % (result['per_second'] / 1e9), result['unit'],
             '%.0f %%' % (100 * result['of_peak']),
             *('%.1f' % (result['seconds'][way] / result['seconds']['ours'])
               if way in result['seconds'] else '-'
               for way in ('reference', 'numpy'))] for result in results])
    print()
    for result in results:
        if result['beside'] != 'NumPy':
            print('%s / %s, %s: %.1f' % (
                result['beside'], result['kernel'], result['size'],
                result['seconds']['numpy'] / result['seconds']['ours']))


# What sign_product and signs choose from, always the one and always the other
RULE_WAYS = {
    'blas': lambda x, W: x.dot(kernels.binarize(W).T),
    'packed': lambda x, W: kernels.xnor_product(
        kernels.pack(x), kernels.pack(W), x.shape[1]),
    'unit': lambda x, W: cpu_tiles.by_columns(
        x, kernels.arrange(kernels.pack(W))),
}


def measure_rule(args):
    """Returns how long the ways of a product take, by its size."""
    results = []
    for name, k in RULE_WIDTHS.items():
        if args.sizes and name not in args.sizes:
            continue
        W = floats(k, k)
        for m in RULE_ROWS:
            x = signs(m, k)
            ways = {way: functools.partial(function, x, W)
                    for way, function in RULE_WAYS.items()
                    if way != 'unit' or amx.IS_AVAILABLE}
            results.append({
                'rows': m, 'width': k, 'is_packed': cpu.is_packed(x, W),
                'is_tiled': cpu.is_tiled(x, W, k),
                'seconds': timing.time_in_turns(ways, args.rounds)})
    return results


def print_rule(results):
    for way, key, who in (('packed', 'is_packed', 'sign_product'),
                          ('unit', 'is_tiled', 'signs')):
        rows = [one for one in results if way in one['seconds']]
        if not rows:
            continue
        print('\nbinarizing W and the BLAS beside packing and %s, m x k by '
              'k x k:' % {'packed': 'popcount', 'unit': 'the matrix unit'}[
                  way])
        timing.print_table(
            ['k', 'm', 'BLAS ms', way + ' ms', 'BLAS/' + way,
             who + ' takes'], [[
                 str(one['width']), str(one['rows']),
                 *('%.3f' % (1e3 * one['seconds'][name])
                   for name in ('blas', way)),
                 '%.2f' % (one['seconds']['blas'] / one['seconds'][way]),
                 way if one[key] else 'BLAS'] for one in rows])


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
        work = entry.work(size)
        kernel = entry.ours or kernel
        plain = entry.make_plain or entry.make
        # Each has arrays of its own: some change them.
        functions = {'ours': functools.partial(kernel, *entry.make(size)),
                     'numpy': functools.partial(
                         entry.plain, *plain(size))}
        definition = entry.reference or getattr(reference, name, None)
        if definition and not entry.make_plain and (
                entry.unit == 'GB/s' or work <= MOST_BY_DEFINITION):
            functions['reference'] = functools.partial(
                definition, *entry.make(size))
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
            'beside': entry.beside,
            'seconds': seconds, 'per_second': rate, 'unit': entry.unit,
            'peak_per_second': most, 'of_peak': rate / most})
    return results


if __name__ == '__main__':
    main()
