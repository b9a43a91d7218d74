"""AlexNet of XNOR-Net-PyTorch on ImageNet."""
import dataclasses

from bnn.training.command_line import config
from configs import nin_imagenet

CONFIG = dataclasses.replace(
    nin_imagenet.CONFIG,
    name='alexnet',
    title='XNOR-Net-PyTorch: AlexNet, 100 epochs',
    notes='Its number is the best epoch on the test set.',
    published=config.Published(
        0.4487, 'XNOR-Net-PyTorch, README, ImageNet, AlexNet',
        epoch='best on test',
        top5=0.6970),
    net='AlexNet', unit=4096, min_gamma=0.)
