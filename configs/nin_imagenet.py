"""NIN with XNOR-Net's blocks on ImageNet."""
import dataclasses

from configs import alexnet

CONFIG = dataclasses.replace(
    alexnet.CONFIG,
    name='nin_imagenet',
    title="NIN for ImageNet with XNOR-Net's blocks, 100 epochs",
    notes='',
    published=None,
    net='NINImageNet', min_gamma=.01)
