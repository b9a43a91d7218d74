#!/usr/bin/env python3
"""Contender: a graph in onnxruntime."""
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
    parser.add_argument('--net', required=True, metavar='NAME',
                        help='file of the net, NAME.onnx')
    parser.add_argument('--kernels', choices=('float32', 'int8', 'none'),
                        default='none', help='products to time beside it')
    args = parser.parse_args()
    channel = timing.Channel()
    path = os.path.join(args.files, args.net + '.onnx')
    if importlib.util.find_spec('onnxruntime') is None:
        channel.unavailable('no onnxruntime: pip install onnx onnxruntime')
    if not os.path.exists(path):
        channel.unavailable('no onnx: pip install onnx onnxruntime')
    import onnxruntime
    images, = jobs.load(args, 'images')

    def session(name):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = jobs.threads()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            os.path.join(args.files, name + '.onnx'), options,
            providers=['CPUExecutionProvider'])

    net = session(args.net)

    def whole(n):
        some = {'pixels': images[:n]}
        return lambda: net.run(None, some)[0].argmax(axis=1)

    def product(name, dtype='float32'):
        def kernel(n):
            graph, (a,) = session(name), jobs.load(args, 'a')
            # Of integers 0 and 2, less 1 in the graph: unsigned is faster.
            some = {'a': a[:n] if dtype == 'float32' else (
                a[:n] + 1).astype(dtype)}
            return lambda: graph.run(None, some)[0]

        return kernel

    found = {'net': whole}
    if args.kernels == 'float32':
        found['kernel'] = product('product')
    elif args.kernels == 'int8':
        found['kernel'] = product('product-int8', 'uint8')
        found['packing'] = product('product-int8-of-floats')
    jobs.serve(channel, found, model_bytes=os.path.getsize(path),
               onnxruntime=onnxruntime.__version__)


if __name__ == '__main__':
    main()
