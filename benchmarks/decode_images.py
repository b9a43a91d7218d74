#!/usr/bin/env python3
"""Pictures decoded per second, by workers, beside what training asks for.

Of a folder of pictures, or else of synthetic ones as large as ImageNet's and
larger: draft mode halves only a JPEG of which both sides are 512 or more. The
rate of a core counts the time on the processor, whatever else runs beside.

    benchmarks/decode_images.py --demand 1500 --data-dir ~/imagenet
"""
import argparse
import concurrent.futures
import glob
import json
import os
import statistics
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import numpy
import PIL
from PIL import Image

import timing
from bnn import machine
from bnn.data import decoding

# Width, height: about ImageNet's mean, and four times as many pixels
SIZES = (500, 375), (1000, 750)
MODES = {'draft': True, 'full': False}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data-dir', metavar='DIR',
                        help='pictures in train/<class>/* and val/<class>/*')
    parser.add_argument('--demand', type=float, metavar='N',
                        help='pictures per second that training takes')
    parser.add_argument('--pictures', type=int, default=256, metavar='N',
                        help='pictures in a round')
    parser.add_argument('--rounds', type=timing.positive, default=5,
                        metavar='N')
    parser.add_argument('--workers', type=int, nargs='+', metavar='N',
                        help='default: 1, 2, 4 ... as many as there are cores')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'decode_images.json'))
    args = parser.parse_args()
    cores = os.cpu_count()
    workers = args.workers or sorted(
        {2 ** i for i in range(cores.bit_length())} | {cores})

    results = []
    with tempfile.TemporaryDirectory() as folder:
        if args.data_dir:
            sources = {'of a folder': _find(args.data_dir, args.pictures)}
        else:
            sources = {
                f'synthetic JPEG, {width}x{height}': _make(
                    folder, width, height, args.pictures)
                for width, height in SIZES}
        for source, paths in sources.items():
            rates = _measure(paths, workers, args.rounds)
            results.append({
                'pictures': source, 'n': len(paths),
                'bytes_per_picture': round(statistics.mean(
                    os.path.getsize(path) for path in paths)),
                'rates': rates,
                'cores_for_demand': args.demand and (
                    args.demand / rates[0]['draft']['per_core_second'])})
            _report(results[-1])
    with open(args.out, 'w') as f:
        json.dump({
            'demand_per_second': args.demand, 'rounds': args.rounds,
            'results': results,
            'machine': {**machine.describe(), 'pillow': PIL.__version__}},
            f, indent=1)
        f.write('\n')


def _find(folder, n):
    paths = sorted(
        path for path in glob.iglob(os.path.join(folder, 'train', '*', '*'))
        if path.lower().endswith(decoding.EXTENSIONS))
    return paths[::max(len(paths) // n, 1)][:n]


def _make(folder, width, height, n):
    """Writes noise of several scales, which compresses like a photograph."""
    random = numpy.random.RandomState(0)
    paths = []
    for i in range(n):
        pixels = numpy.zeros((height, width, 3))
        for cell, weight in ((64, 35), (16, 20), (4, 10), (1, 35)):
            noise = random.randint(
                0, 256, (height // cell + 1, width // cell + 1, 3))
            pixels += weight / 100 * numpy.asarray(Image.fromarray(
                noise.astype(numpy.uint8)).resize(
                    (width, height), Image.Resampling.BICUBIC))
        paths.append(os.path.join(folder, f'{width}-{i}.jpg'))
        Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)).save(
            paths[-1], quality=90)
    return paths


def _measure(paths, workers, rounds):
    rates = []
    for n in workers:
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            times = {mode: [] for mode in MODES}
            # Taking turns, so that both have their share of a slow minute.
            # The first round reads the files from the disk
            for i in range(rounds + 1):
                for mode, draft in MODES.items():
                    start = time.perf_counter(), time.process_time()
                    for _ in pool.map(
                            decoding.decode, paths, [draft] * len(paths)):
                        pass
                    if i:
                        times[mode].append((
                            time.perf_counter() - start[0],
                            time.process_time() - start[1]))
        rate = {'workers': n}
        for mode in MODES:
            elapsed, busy = map(statistics.median, zip(*times[mode]))
            rate[mode] = {'per_second': len(paths) / elapsed,
                          'per_core_second': len(paths) / busy}
        rates.append(rate)
    return rates


def _report(result):
    print('%s: %d of %.0f kB on average' % (
        result['pictures'], result['n'], result['bytes_per_picture'] / 1000))
    print('           pictures/s          pictures/s of a core')
    print('  workers  draft mode    full  draft mode      full')
    for rate in result['rates']:
        print('  %7d  %10.0f  %6.0f  %10.0f  %8.0f' % (
            rate['workers'], *(rate[mode][per] for per in (
                'per_second', 'per_core_second') for mode in MODES)))
    if result['cores_for_demand']:
        print('  the demand of training is the work of %.1f cores'
              % result['cores_for_demand'])


if __name__ == '__main__':
    main()
