#!/usr/bin/env python3
"""Contender: the same net and training in PyTorch.

Needs a Python with PyTorch and NumPy, nothing else of this project.
"""
import argparse
import functools
import importlib.util
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import timing

WAYS = 'eager', 'bfloat16', 'graph'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    timing.add_net(parser)
    parser.add_argument('--way', choices=WAYS, default='eager')
    args = parser.parse_args()
    channel = timing.Channel()
    if importlib.util.find_spec('torch') is None:
        channel.unavailable(
            'no PyTorch; --torch-python names a Python that has it')
    import torch
    if args.gpu >= 0 and not torch.cuda.is_available():
        channel.unavailable('PyTorch %s finds no GPU' % torch.__version__)
    if args.way == 'graph' and args.gpu < 0:
        channel.unavailable('CUDA graphs are of GPUs: --gpu 0')
    if args.gpu < 0:
        torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    step = make(torch, args)
    channel.ready(torch=torch.__version__, threads=torch.get_num_threads(),
                  python='%d.%d.%d' % sys.version_info[:3])
    channel.serve(
        step, None if args.gpu < 0 else torch.cuda.synchronize)


def make_net(torch, sizes):
    """Returns the net, with the names that Chainer's has."""

    class Sign(torch.autograd.Function):

        """Of weights: the gradient goes through as it is."""

        @staticmethod
        def forward(ctx, x):
            return torch.where(x >= 0, 1., -1.)

        @staticmethod
        def backward(ctx, gy):
            return gy

    class BST(torch.autograd.Function):

        """Of activations: it goes through where they are in [-1, 1]."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.where(x >= 0, 1., -1.).to(x.dtype)

        @staticmethod
        def backward(ctx, gy):
            x, = ctx.saved_tensors
            return torch.where(x.abs() <= 1, gy, 0.)

    class BinaryLinear(torch.nn.Module):

        def __init__(self, n_in, n_out):
            super().__init__()
            self.W = torch.nn.Parameter(
                torch.randn(n_out, n_in) / n_in ** 0.5)
            self.b = torch.nn.Parameter(torch.zeros(n_out))

        def forward(self, x):
            return torch.nn.functional.linear(x, Sign.apply(self.W), self.b)

    class MLP(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.n_layers = len(sizes) - 1
            for i in range(1, len(sizes)):
                setattr(self, 'l%d' % i, BinaryLinear(*sizes[i - 1:i + 1]))
                setattr(self, 'b%d' % i, torch.nn.BatchNorm1d(
                    sizes[i], eps=2e-5, momentum=0.1))

        def forward(self, h):
            for i in range(1, self.n_layers + 1):
                h = getattr(self, 'b%d' % i)(getattr(self, 'l%d' % i)(h))
                if i < self.n_layers:
                    h = BST.apply(h)
            return h

    return MLP()


def make(torch, args):
    """Returns a function that runs an iteration."""
    torch.manual_seed(0)
    device = torch.device('cpu' if args.gpu < 0 else 'cuda:%d' % args.gpu)
    images, labels = timing.images(args.images)
    images = torch.from_numpy(images.reshape(len(images), -1)).to(device)
    labels = torch.from_numpy(labels).long().to(device)
    net = make_net(torch, timing.sizes(args)).to(device)
    params = list(net.parameters())
    optimizer = torch.optim.Adam(
        params, fused=True, capturable=args.way == 'graph')
    sums = torch.zeros(2, device=device)
    cast = functools.partial(
        torch.autocast, device.type, torch.bfloat16, args.way == 'bfloat16')

    def update(batch):
        x, t = images[batch].float() / 255, labels[batch]
        with cast():
            y = net(x)
            loss = torch.nn.functional.cross_entropy(y, t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_clamp_min_(params, -1)
            torch._foreach_clamp_max_(params, 1)
            sums[0] += loss
            sums[1] += (y.argmax(1) == t).float().mean()
        return loss.detach()

    order = iter(())

    def next_batch():
        nonlocal order
        batch = next(order, None)
        if batch is None or len(batch) < args.batchsize:
            order = iter(torch.randperm(
                len(labels), device=device).split(args.batchsize))
            batch = next(order)
        return batch

    if args.way != 'graph':
        return lambda: update(next_batch())
    return _capture(torch, update, next_batch, optimizer)


def _capture(torch, update, next_batch, optimizer):
    batch = next_batch().clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            update(batch)
    torch.cuda.current_stream().wait_stream(stream)
    optimizer.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = update(batch)

    def step():
        batch.copy_(next_batch())
        graph.replay()
        return loss

    return step


if __name__ == '__main__':
    main()
