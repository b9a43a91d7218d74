"""Peer: the same net and training in PyTorch, with its fused Adam.

Needs a Python with PyTorch and NumPy, nothing else of this project.  Its
arguments are a way, ``eager`` or ``bfloat16`` (autocast), and the task of
train_step.py.  NETS has the nets that are written here so far.
"""
import functools
import importlib.util
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import timing


def functions(torch):
    """Returns the signs of weights, and those of activations."""

    class Sign(torch.autograd.Function):
        """The gradient passes as it is."""

        @staticmethod
        def forward(ctx, x):
            return torch.where(x >= 0, 1., -1.)

        @staticmethod
        def backward(ctx, gy):
            return gy

    class BST(torch.autograd.Function):
        """The gradient passes where x is in [-1, 1]."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.where(x >= 0, 1., -1.).to(x.dtype)

        @staticmethod
        def backward(ctx, gy):
            x, = ctx.saved_tensors
            return torch.where(x.abs() <= 1, gy, 0.)

    return Sign.apply, BST.apply


def binary_mlp(torch, task):
    sign, bst = functions(torch)
    unit, layers = task['unit'], task['layers']
    sizes = [784, *[unit] * layers, task['classes']]

    class BinaryLinear(torch.nn.Module):

        def __init__(self, n_in, n_out):
            super().__init__()
            self.W = torch.nn.Parameter(
                torch.randn(n_out, n_in) / n_in ** .5)
            self.b = torch.nn.Parameter(torch.zeros(n_out))

        def forward(self, x):
            return torch.nn.functional.linear(x, sign(self.W), self.b)

    class MLP(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.linear = torch.nn.ModuleList(map(
                BinaryLinear, sizes[:-1], sizes[1:]))
            self.norm = torch.nn.ModuleList(torch.nn.BatchNorm1d(
                n, eps=2e-5, momentum=.1) for n in sizes[1:])

        def forward(self, x):
            h = x.flatten(1)
            for i, (linear, norm) in enumerate(zip(self.linear, self.norm)):
                h = norm(linear(h if i == 0 else bst(h)))
            return h

    return MLP()


#: Classes of zoo/nets.py to functions that make them, and whether a clip
#: keeps all parameters in [-1, 1]
NETS = {'BinaryMLP': (binary_mlp, True)}


def main():
    way, task = sys.argv[1], json.loads(sys.argv[2])
    channel = timing.Channel()
    if importlib.util.find_spec('torch') is None:
        channel.unavailable(
            'no PyTorch; --torch-python names a Python that has it')
    if task['net'] not in NETS:
        channel.unavailable(f'{task["net"]} is not written in PyTorch here')
    import torch
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    torch.manual_seed(0)
    images, labels = timing.images(
        task['images'], tuple(task['shape']), task['classes'])
    images, labels = torch.from_numpy(images), torch.from_numpy(labels).long()
    make, has_clip = NETS[task['net']]
    net = make(torch, task)
    params = list(net.parameters())
    optimizer = torch.optim.Adam(params, fused=True)
    cast = functools.partial(
        torch.autocast, 'cpu', torch.bfloat16, way == 'bfloat16')
    sums, order = torch.zeros(2), []

    def step():
        if not order:
            order.extend(torch.randperm(len(labels)).split(task['batchsize']))
            if len(order[-1]) < task['batchsize']:
                order.pop()
        batch = order.pop()
        x, t = images[batch].float() / 255, labels[batch]
        with cast():
            y = net(x)
            loss = torch.nn.functional.cross_entropy(y, t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            if has_clip:
                torch._foreach_clamp_min_(params, -1)
                torch._foreach_clamp_max_(params, 1)
            sums[0] += loss
            sums[1] += (y.argmax(1) == t).float().mean()

    channel.serve(lambda: (step, {}), torch=torch.__version__)


if __name__ == '__main__':
    main()
