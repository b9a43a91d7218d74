#!/usr/bin/env python3
"""Time of a prediction: the packed net beside other programs.

    benchmarks/inference.py --torch-python FILE
    benchmarks/inference.py --c        the C program, by compiler and flags

784-1000-1000-10 with random signs as weights, from uint8 images to classes:
packed (bnn.deploy), Chainer, PyTorch, onnxruntime, the C program.  PyTorch
and onnxruntime get it in their fastest form, see random_net.py; "int8 by
hand" is an exact graph of uint8 by int8, which no tool writes by itself.  The
C program has one thread.
"""
import statistics
import tempfile

import random_net
import timing

OURS = 'packed'
# Names to the words of peers/predict.py: the way, the folder, and the rest
PEERS = {
    OURS: ('packed',),
    'Chainer': ('chainer',),
    'PyTorch, eager': ('torch', 'eager'),
    'PyTorch, torch.compile': ('torch', 'compile'),
    'onnxruntime, float32': ('onnxruntime', 'float32'),
    'onnxruntime, int8 dynamic': ('onnxruntime', 'dynamic'),
    'onnxruntime, int8 static': ('onnxruntime', 'static'),
    'onnxruntime, int8 by hand': ('onnxruntime', 'by_hand'),
    'C, gcc -O3 -march=native': ('c', 'gcc', '-O3 -march=native', '')}
NATIVE, PORTABLE = '-O3 -march=native', '-O2 -DBNN_BUILTIN_POPCOUNT=0'
WORDS = ' -DBNN_WORD_BITS=64'
C_PEERS = {
    OURS: ('packed',), **{
        f'C, {compiler} {flags}': ('c', compiler, flags, '')
        for compiler in ('gcc', 'clang')
        for flags in (NATIVE, NATIVE + WORDS, PORTABLE, PORTABLE + WORDS)},
    **{f'float loop, {compiler} {flags}': ('c', compiler, flags, 'float loop')
       for compiler in ('gcc', 'clang') for flags in (NATIVE, '-O2')}}


def main():
    parser = timing.parser(__doc__)
    timing.add_torch(parser)
    parser.add_argument('--seconds', type=float, default=.1, metavar='S',
                        help='length of a turn (default: 0.1)')
    parser.add_argument('--unit', type=timing.positive, default=1000,
                        metavar='N', help='units of each hidden layer')
    parser.add_argument('--batch', type=timing.positive, nargs='+',
                        metavar='N', help='images at once (default: 1, 100 '
                        'and 10000; of C 100)')
    parser.add_argument('--threads', type=timing.positive, nargs='+',
                        metavar='N', help='of each (default: 1 and the '
                        'cores; of C 1)')
    parser.add_argument('--c', action='store_true',
                        help='the C program, by compiler and flags')
    parser.add_argument('--only', nargs='+', metavar='NAME', help=(
        'beside ours only those whose name has this in it'))
    args = parser.parse_args()
    threads = args.threads or (
        [1] if args.c else sorted({1, timing.cores()}))
    batches = args.batch or ([100] if args.c else [1, 100, 10000])
    parts, versions = [], {}
    with tempfile.TemporaryDirectory() as folder:
        random_net.write(folder, args.unit, max(batches))
        for n in threads:
            found, missing = measure(args, folder, n, batches, versions)
            parts += found
    timing.report(
        args, f'A prediction of 784-{args.unit}-{args.unit}-10'
        + (' in C' if args.c else ''), [*parts, *missing], max(threads),
        versions)


def measure(args, folder: str, threads: int, batches: list,
            versions: dict) -> tuple:
    """Measures with some threads, and notes the versions of the peers.

    Returns:
        A table for each batch with its heading, and lines on the peers that
        are not there.
    """
    peers = {}
    for name, (way, *words) in (C_PEERS if args.c else PEERS).items():
        if name == OURS or not args.only or any(
                part in name for part in args.only):
            if way == 'c' and threads > 1:
                continue
            python = {'python': args.torch_python} if way == 'torch' else {}
            peers[name] = timing.Peer(
                'predict.py', way, folder, *words, threads=threads, **python)
            versions.update(peers[name].facts)
    able = {name: one for name, one in peers.items() if not one.unavailable}
    parts = []
    for batch in batches:
        classes = {name: one.prepare(args.seconds, batch=batch)['classes']
                   for name, one in able.items()}
        seconds = timing.take_turns(able, args.rounds)
        parts += [
            f'{batch} images, {threads} threads:',
            timing.table(
                ['', 'us', *timing.HEADER, 'us an image', 'classes differ'], [
                    [name, *cells,
                     f'{1e6 * statistics.median(seconds[name]) / batch:.2f}',
                     sum(a != b for a, b in zip(
                         classes[name], classes[OURS], strict=True))]
                    for name, cells in timing.rows(
                        seconds, 1e6, 1).items()])]
    for one in peers.values():
        one.close()
    return parts, [f'not measured: {name}: {one.unavailable}'
                   for name, one in peers.items() if one.unavailable]


if __name__ == '__main__':
    main()
