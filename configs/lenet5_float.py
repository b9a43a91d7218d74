"""Float LeNet-5 of XNOR-Net-PyTorch."""
import dataclasses

from bnn.training.command_line import config
from configs import lenet5

CONFIG = dataclasses.replace(
    lenet5.CONFIG,
    name='lenet5_float',
    title='XNOR-Net-PyTorch: float LeNet-5, 60 epochs',
    notes='Its number is the best epoch on the test set.',
    published=config.Published(
        0.9934, 'XNOR-Net-PyTorch, README, MNIST, LeNet-5, full precision',
        epoch='best on test'),
    binary=False)
