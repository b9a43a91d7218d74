"""Float twin of the binary ResNet-20."""
import dataclasses

from bnn.training.command_line import config
from configs import resnet20

CONFIG = dataclasses.replace(
    resnet20.CONFIG,
    name='resnet20_float',
    title='ResNet-20, float, with Bi-Real shortcuts, 100 epochs',
    notes='Its shortcuts go around two convolutions, ours around each.',
    published=config.Published(
        0.9125, 'He et al., ResNet, 1512.03385, Table 6, ResNet-20'),
    binary=False, surrogate='ste', lr=.001, weight_decay=1e-4)
