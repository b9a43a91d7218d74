#!/usr/bin/env python3
"""Contender: the C program of export.py --to c, one thread."""
import argparse
import ctypes
import glob
import os
import shutil
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(FOLDER))

import jobs
import timing

# Calls it for each image, as a program in C would
LOOP = '''
#include <stdint.h>
void run(const uint8_t *images, long n, long size, int32_t *classes)
{
    for (long i = 0; i < n; i++)
        classes[i] = (int32_t)bnn_predict(images + i * size);
}
'''


def build(folder, flags, out):
    """Compiles the net, the source beside each header, and the loop.

    Returns:
        str: Why that is not possible, or ``None``.
    """
    compiler = shutil.which(os.environ.get('CC', 'cc'))
    if compiler is None:
        return 'no C compiler'
    headers = [path for path in sorted(glob.glob(os.path.join(
        folder, '*.h'))) if os.path.exists(path[:-1] + 'c')]
    if not headers:
        return 'no C net in %s: --c-dir names what export.py --to c wrote' % (
            folder)
    loop = out + '_loop.c'
    with open(loop, 'w') as f:
        f.write(''.join('#include "%s"\n' % os.path.abspath(path)
                        for path in headers) + LOOP)
    done = subprocess.run(
        [compiler, *flags.split(), '-shared', '-fPIC', '-o', out, loop,
         *(path[:-1] + 'c' for path in headers)], capture_output=True,
        text=True)
    return done.stderr.strip()[-300:] if done.returncode else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    jobs.add_files(parser)
    parser.add_argument('--c-dir', default='', metavar='DIR')
    parser.add_argument('--flags', default='-O3 -march=native')
    args = parser.parse_args()
    channel = timing.Channel()
    if not args.c_dir:
        channel.unavailable('--c-dir names what export.py --to c wrote')
    library = os.path.join(args.files, 'c%s.so' % ''.join(
        one for one in args.flags if one.isalnum()))
    reason = build(args.c_dir, args.flags, library)
    if reason:
        channel.unavailable(reason)
    import numpy
    run = ctypes.CDLL(library).run
    run.argtypes = (ctypes.c_void_p, ctypes.c_long, ctypes.c_long,
                    ctypes.c_void_p)
    run.restype = None
    images, = jobs.load(args, 'images')
    size = images[0].size

    def whole(n):
        classes = numpy.empty(n, numpy.int32)

        def step():
            run(images.ctypes.data, n, size, classes.ctypes.data)
            return classes

        return step

    jobs.serve(channel, {'net': whole}, flags=args.flags,
               model_bytes=os.path.getsize(library))


if __name__ == '__main__':
    main()
