"""The nets of zoo/ in PyTorch.

Each computes what ours does.  NETS has the classes of zoo/nets.py that are
written here, WRITTEN the values of settings that are.
"""
import functools
import math

import torch
from torch import nn
from torch.nn import functional as F

# hardtanh's gradient passes inside of its bounds, ours at 1 too.
_BOUND = float(torch.nextafter(torch.tensor(1.), torch.tensor(2.)))


class _Signs(torch.autograd.Function):
    """Signs of weights; the gradient passes as it is."""

    @staticmethod
    def forward(ctx, W):
        return torch.where(W >= 0, 1., -1.)

    @staticmethod
    def backward(ctx, g):
        return g


class _ScaledSigns(torch.autograd.Function):
    """Signs of weights times mean|W| of each filter, with its gradient."""

    @staticmethod
    def forward(ctx, W):
        scale = W.abs().mean(tuple(range(1, W.ndim)), keepdim=True)
        ctx.save_for_backward(W, scale)
        return torch.where(W >= 0, scale, -scale)

    @staticmethod
    def backward(ctx, g):
        W, scale = ctx.saved_tensors
        sign = torch.where(W >= 0, 1., -1.)
        through_scale = (g * sign).mean(tuple(range(1, W.ndim)), keepdim=True)
        return through_scale * sign + torch.where(
            W.abs() <= 1, g * scale, 0.)


class _BST(torch.autograd.Function):
    """Signs of activations; the gradient passes where x is in [-1, 1]."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1., -1.).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(g, x, -_BOUND, _BOUND)


class BST(nn.Module):

    def forward(self, x):
        return _BST.apply(x)


class Linear(nn.Linear):
    """Linear layer on ``binarize`` of its weights."""

    def __init__(self, *sizes, binarize=None):
        super().__init__(*sizes)
        self.binarize = binarize

    def forward(self, x):
        W = self.binarize(self.weight) if self.binarize else self.weight
        return F.linear(x.flatten(1), W, self.bias)


class Convolution(nn.Conv2d):
    """Convolution with ``binarize`` of its weights."""

    def __init__(self, *sizes, binarize=None, **options):
        super().__init__(*sizes, **options)
        self.binarize = binarize

    def forward(self, x):
        W = self.binarize(self.weight) if self.binarize else self.weight
        return F.conv2d(x, W, self.bias, padding=self.padding)


def binary_mlp(task):
    sizes = [math.prod(task['shape']), *[task['unit']] * task['layers'],
             task['classes']]
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [Linear(n_in, n_out, binarize=_Signs.apply),
                   nn.BatchNorm1d(n_out, eps=2e-5), BST()]
    return nn.Sequential(*layers[:-1])


def conv_net(task):
    options = {} if task['kind'] == 'float' else {'binarize': _Signs.apply}
    activation = BST if task['kind'] == 'binary' else (
        functools.partial(nn.ReLU, inplace=True))
    width = task['width']
    channels = [3, *[width * n for n in (1, 1, 2, 2, 4, 4)]]
    sizes = [channels[-1] * 16, 8 * width, 8 * width, task['classes']]
    layers = []
    for i, (n_in, n_out) in enumerate(zip(channels, channels[1:])):
        layers += [Convolution(n_in, n_out, 3, padding=1, **options),
                   *[nn.MaxPool2d(2)] * (i % 2),
                   nn.BatchNorm2d(n_out, eps=1e-4), activation()]
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [Linear(n_in, n_out, **options),
                   nn.BatchNorm1d(n_out, eps=1e-4), activation()]
    return nn.Sequential(*layers[:-1])


def _block(channels, layer, *sizes, binary, dropout=0., **options):
    """XNOR-Net's block, or its float twin."""
    return nn.Sequential(
        nn.BatchNorm2d(channels, eps=1e-4), *[BST()] * binary,
        *[nn.Dropout(dropout)] * bool(dropout),
        layer(*sizes, **options,
              binarize=_ScaledSigns.apply if binary else None),
        nn.ReLU(inplace=True))


def _fixed_norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-4, affine=False)


def lenet5(task):
    block = functools.partial(_block, binary=task['binary'])
    return nn.Sequential(
        Convolution(1, 20, 5), _fixed_norm(20), nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        block(20, Convolution, 20, 50, 5), nn.MaxPool2d(2),
        block(50, Linear, 800, 500),
        Linear(500, task['classes']))


def nin(task):
    def block(n_in, n_out, size, **options):
        return _block(n_in, Convolution, n_in, n_out, size,
                      padding=size // 2, binary=task['binary'], **options)

    return nn.Sequential(
        Convolution(3, 192, 5, padding=2), _fixed_norm(192),
        nn.ReLU(inplace=True),
        block(192, 160, 1), block(160, 96, 1), nn.MaxPool2d(3, 2, 1),
        block(96, 192, 5, dropout=.5), block(192, 192, 1),
        block(192, 192, 1), nn.AvgPool2d(3, 2, 1),
        block(192, 192, 3, dropout=.5), block(192, 192, 1),
        _fixed_norm(192), Convolution(192, task['classes'], 1),
        nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())


NETS = {'BinaryMLP': binary_mlp, 'ConvNet': conv_net, 'LeNet5': lenet5,
        'NIN': nin}
WRITTEN = {
    'input': ('unit', 'signed', 'standard'),
    'optimizer': ('adam', 'momentum', 'sgd'), 'batch_norm': (True,),
    'dropout_input': (0,), 'dropout_hidden': (0,),
    'binarize': ('deterministic',), 'surrogate': ('ste',),
    'weight_scale': ('corrected',), 'input_scale': (False,),
    'shift': (False,), 'pad_value': (0,), 'label_smoothing': (0,),
    'adversarial': (0,), 'teacher': (None,)}
