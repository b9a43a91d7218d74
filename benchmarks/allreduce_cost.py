#!/usr/bin/env python3
"""What averaging the gradients costs on paper, from 1 to 1024 GPUs.

Computed, not measured: a ring all-reduce of B bytes among n GPUs takes
2 (n - 1) / n * B / bandwidth + 2 (n - 1) * latency, and nothing is hidden
behind the computation.  With one bit a gradient, its sign, B is a 32nd.

    benchmarks/allreduce_cost.py                  the tables of the docs
    benchmarks/allreduce_cost.py --bandwidth 50 --latency 2
"""
import argparse
import math
import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import net

GPUS = [2 ** k for k in range(11)]
# Gigabytes a second, microseconds: assumed, each GPU with a link of its own
LINKS = {'InfiniBand HDR': (25., 2.), '10 Gb Ethernet': (1.25, 30.)}

# Weights of XNOR-Net's, (out, in, ...)
_ALEXNET = (
    (96, 3, 11, 11), (256, 96, 5, 5), (384, 256, 3, 3), (384, 384, 3, 3),
    (256, 384, 3, 3), (4096, 9216), (4096, 4096), (1000, 4096))


def count_parameters():
    """Returns the names of nets and how many parameters each has."""
    mlp = net.BinaryMLP()
    return {'BinaryMLP 784-1000-1000-10': sum(
        param.size for param in mlp.params()),
        'AlexNet of XNOR-Net, its weights': sum(map(math.prod, _ALEXNET))}


def seconds(n, size, bandwidth, latency):
    """Returns how long a ring all-reduce takes.

    Args:
        n (int): How many take part.
        size (float): Bytes.
        bandwidth (float): Bytes a second.
        latency (float): Seconds from one to the next.

    Returns:
        float: Seconds.
    """
    return 2 * (n - 1) * (size / n / bandwidth + latency)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--bandwidth', type=float, metavar='GB/S',
                        help='of each link, instead of two usual ones')
    parser.add_argument('--latency', type=float, default=0., metavar='US',
                        help='of that link, in microseconds')
    args = parser.parse_args()
    links = LINKS if args.bandwidth is None else {
        'link': (args.bandwidth, args.latency)}
    for name, n_params in count_parameters().items():
        print('%s: %.2f million parameters, %.1f MB of float32 gradients, '
              '%.2f MB of signs\n' % (
                  name, n_params / 1e6, n_params * 4 / 1e6, n_params / 8e6))
        columns = ['GPUs'] + [
            '%s, %s (ms)' % (link, kind) for link in links
            for kind in ('float32', 'sign')]
        print('| %s |' % ' | '.join(columns))
        print('|' + '---:|' * len(columns))
        for n in GPUS:
            print('| %d | %s |' % (n, ' | '.join(
                '%.2f' % (1e3 * seconds(
                    n, size, bandwidth * 1e9, latency / 1e6))
                for bandwidth, latency in links.values()
                for size in (n_params * 4, n_params / 8))))
        print()


if __name__ == '__main__':
    main()
