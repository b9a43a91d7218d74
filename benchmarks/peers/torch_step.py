"""Peer: the same net and training in PyTorch, with its fused optimizers.

Needs a Python with PyTorch and NumPy alone.  Its arguments are a way, some of
the words 'channels last', 'bfloat16' (autocast), 'compiled' with commas
between them, and the task of train_step.py.  Without a word it is eager and
float32.

The process keeps freed memory, as that of our training does: with PyTorch's
default a step of NIN on channels last takes 1.8 times as long.  Images are not
varied here, whatever the configuration says.
"""
import collections
import importlib.util
import json
import os
import sys

import timing
from bnn import memory

# Mean and deviation of pixels in [0, 1]
SCALES = {'unit': (0, 1), 'signed': (.5, .5)}


def make_optimizer(torch, net, task):
    """Makes the optimizer, and an update with the hooks of ours."""
    layers = [layer for layer in net.modules() if hasattr(layer, 'binarize')]
    latent = [layer.weight for layer in layers if layer.binarize]
    weights = {id(layer.weight) for layer in layers}
    groups = collections.defaultdict(list)
    for param in net.parameters():
        rate = task['rate']
        if task['lr_scale'] == 'glorot' and any(
                param is one for one in latent):
            rate *= ((param[:, 0].numel() + param[0].numel()) / 1.5) ** .5
        groups[rate, task['weight_decay'] * (id(param) in weights)].append(
            param)
    groups = [{'params': params, 'lr': rate, 'weight_decay': decay}
              for (rate, decay), params in groups.items()]
    is_adam = task['optimizer'] == 'adam'
    optimizer = torch.optim.Adam(groups, fused=True) if is_adam else (
        torch.optim.SGD(groups, fused=True, momentum=.9 * (
            task['optimizer'] == 'momentum')))
    # XNOR-Net's hooks
    centred = latent if task['net'] in ('LeNet5', 'NIN') else []
    factors = [(1 - 1 / W.shape[1]) * W[0].numel() * task['gradient_scale']
               for W in centred]
    gammas = [layer.weight for layer in net.modules()
              if 'Norm' in type(layer).__name__ and layer.weight is not None
              ] if centred and task['min_gamma'] else []
    clipped = {'all': list(net.parameters()), 'none': centred,
               'weights': latent}[task['clip']]

    def update():
        if centred and is_adam:
            torch._foreach_mul_([W.grad for W in centred], factors)
        optimizer.step()
        for W in centred:
            W -= W.mean(1, keepdim=True)
        if clipped:
            torch._foreach_clamp_min_(clipped, -1)
            torch._foreach_clamp_max_(clipped, 1)
        if gammas:
            torch._foreach_clamp_min_(gammas, task['min_gamma'])

    return optimizer, torch.no_grad()(update)


def make_step(torch, net, task, way):
    """Returns an iteration."""
    F = torch.nn.functional
    images, labels = timing.images(
        task['images'], tuple(task['shape']), task['classes'])
    images, labels = torch.from_numpy(images), torch.from_numpy(labels).long()
    mean, std = torch.tensor(
        SCALES.get(task['input'], task['statistics'])).view(2, -1, 1, 1)
    layout = torch.channels_last if 'channels last' in way else (
        torch.contiguous_format)
    net.to(memory_format=layout)
    optimizer, update = make_optimizer(torch, net, task)

    def compute(x, t):
        with torch.autocast('cpu', torch.bfloat16, 'bfloat16' in way):
            y = net(x)
            if task['loss'] == 'softmax':
                return y, F.cross_entropy(y, t)
            target = 2. * F.one_hot(t, y.shape[1]) - 1
            return y, (1 - target * y).relu().square().mean()

    if 'compiled' in way:
        compute = torch.compile(compute, dynamic=False)
    sums, order = torch.zeros(2), []

    def step():
        if not order:
            order.extend(torch.randperm(len(labels)).split(task['batchsize']))
            if len(order[-1]) < task['batchsize']:
                order.pop()
        batch = order.pop()
        x, t = images[batch].float(), labels[batch]
        x.mul_(1 / (255 * std)).sub_(mean / std)
        y, loss = compute(x.contiguous(memory_format=layout), t)
        optimizer.zero_grad()
        loss.backward()
        update()
        with torch.no_grad():
            sums[0] += loss
            sums[1] += (y.argmax(1) == t).float().mean()

    return step


def main():
    way, task = sys.argv[1].split(','), json.loads(sys.argv[2])
    channel = timing.Channel()
    if importlib.util.find_spec('torch') is None:
        channel.unavailable(
            'no PyTorch; --torch-python names a Python that has it')
    import torch
    import torch_nets
    memory.keep()
    if task['net'] not in torch_nets.NETS:
        channel.unavailable(f'{task["net"]} is not written in PyTorch here')
    for name, values in torch_nets.WRITTEN.items():
        if task[name] not in values:
            channel.unavailable(
                f'{name} {task[name]} is not written in PyTorch here')
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    torch.manual_seed(0)
    step = make_step(
        torch, torch_nets.NETS[task['net']](task), task, way)
    if 'compiled' in way:
        try:
            step()
        except Exception as e:  # There is no compiler, for one.
            channel.unavailable(' '.join(str(e).split())[:300])
    channel.serve(lambda: (step, {}), torch=torch.__version__)


if __name__ == '__main__':
    main()
