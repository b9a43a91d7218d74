"""Float NIN of XNOR-Net-PyTorch."""
import dataclasses

from bnn.training.command_line import config
from configs import nin

CONFIG = dataclasses.replace(
    nin.CONFIG,
    name='nin_float',
    title='XNOR-Net-PyTorch: float NIN, 320 epochs',
    notes='Its number is the best epoch on the test set. It whitens the '
    'images and varies none; ours are varied.',
    published=config.Published(
        0.8967, 'XNOR-Net-PyTorch, README, CIFAR-10, NIN, full precision',
        epoch='best on test'),
    binary=False)
