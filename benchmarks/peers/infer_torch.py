#!/usr/bin/env python3
"""Contender: the net in PyTorch, float32, as fast as it goes there.

Batch normalization is folded into a threshold on the sum here too, and the
scaling of the pixels into that of the first layer.  Needs a Python with
PyTorch and NumPy, nothing else of this project.
"""
import argparse
import importlib.util
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import jobs
import timing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    jobs.add_files(parser)
    parser.add_argument('--compile', action='store_true',
                        help='torch.compile')
    args = parser.parse_args()
    channel = timing.Channel()
    if importlib.util.find_spec('torch') is None:
        channel.unavailable(
            'no PyTorch; --torch-python names a Python that has it')
    import torch
    torch.set_num_threads(jobs.threads())
    images, = map(torch.from_numpy, jobs.load(args, 'images'))
    layers = [tuple(map(torch.from_numpy, one)) for one in jobs.folded(args)]

    def forward(x):
        h = x.reshape(len(x), -1).float()
        for matrix, limits in layers[:-1]:
            h = torch.where(
                torch.nn.functional.linear(h, matrix) >= limits, 1., -1.)
        matrix, scale, offset = layers[-1]
        return (torch.nn.functional.linear(h, matrix) * scale
                + offset).argmax(1)

    def whole(n):
        some = images[:n]
        # Of one shape: a compiled net of any batch is slower
        net = torch.compile(forward, dynamic=False) if (
            args.compile) else forward

        def run():
            with torch.inference_mode():
                return net(some).numpy()

        if args.compile:
            try:
                run()
            except Exception as e:  # no compiler, for one
                channel.unavailable('torch.compile: %s' % ' '.join(
                    str(e).split())[:300])
        return run

    def kernel(n):
        a, W = map(torch.from_numpy, jobs.load(args, 'a', 'W'))
        some = a[:n]

        def run():
            with torch.inference_mode():
                return torch.nn.functional.linear(some, W)

        return run

    found = {'net': whole}
    if not args.compile:
        found['kernel'] = kernel
    else:
        whole(1)  # before it says that it is ready
    jobs.serve(channel, found, torch=torch.__version__, model_bytes=sum(
        one.nbytes for layer in layers for one in layer))


if __name__ == '__main__':
    main()
