#!/usr/bin/env python3
"""Pictures decoded per second, by threads, beside what training asks for.

    benchmarks/decode_images.py
    benchmarks/decode_images.py --demand 1500 --data-dir ~/imagenet

Pictures of a folder, or else synthetic ones of ImageNet's size and larger: a
JPEG of which both sides are 512 or more is decoded at half its size.  The
rate of a core counts the time on the processor, whatever else runs beside.
"""
import concurrent.futures
import glob
import os
import statistics
import tempfile
import time

import numpy
from PIL import Image

import timing
from bnn.data import decoding

# Width, height: about ImageNet's mean, and four times as many pixels
SIZES = (500, 375), (1000, 750)


def main():
    parser = timing.parser(__doc__, rounds=5)
    parser.add_argument('--data-dir', metavar='DIR',
                        help='pictures in train/<class>/*')
    parser.add_argument('--demand', type=float, metavar='N',
                        help='pictures per second that training takes')
    parser.add_argument('--pictures', type=timing.positive, default=256,
                        metavar='N', help='of a turn (default: 256)')
    args = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        sources = {'of the folder': find(args.data_dir, args.pictures)} if (
            args.data_dir) else {
                f'synthetic, {width}x{height}': make(
                    folder, width, height, args.pictures)
                for width, height in SIZES}
        for source, paths in sources.items():
            for n in sorted({1, timing.cores()}):
                lines.append(measure(source, paths, n, args))
    timing.report(args, 'Decoding pictures', [timing.table(
        ['pictures', 'kB', 'threads', 'pictures/s', 'of a core',
         *['cores for the demand'] * bool(args.demand)], lines)],
        timing.cores())


def find(folder: str, n: int) -> list:
    """Lists n of the pictures of a folder, of all its classes."""
    paths = sorted(
        path for path in glob.iglob(os.path.join(folder, 'train', '*', '*'))
        if path.lower().endswith(decoding.EXTENSIONS))
    return paths[::max(len(paths) // n, 1)][:n]


def make(folder: str, width: int, height: int, n: int) -> list:
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


def measure(source: str, paths: list, threads: int, args) -> list:
    """Returns a line of the table."""
    seconds, busy = [], []
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for _ in range(1 + args.rounds):
            start, on_cores = time.perf_counter(), time.process_time()
            for _ in pool.map(decoding.decode, paths):
                pass
            seconds.append(time.perf_counter() - start)
            busy.append(time.process_time() - on_cores)
    # The first turn reads the files from the disk.
    rate, of_core = (
        len(paths) / statistics.median(turns[1:]) for turns in (seconds, busy))
    size = statistics.mean(map(os.path.getsize, paths)) / 1000
    return [source, f'{size:.0f}', threads, f'{rate:.0f}', f'{of_core:.0f}',
            *[f'{(args.demand or 0) / of_core:.1f}'] * bool(args.demand)]


if __name__ == '__main__':
    main()
