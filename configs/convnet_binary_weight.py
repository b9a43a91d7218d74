"""BinaryConnect's ConvNet for CIFAR-10."""
import dataclasses

from bnn.training.command_line import config
from configs import convnet

CONFIG = dataclasses.replace(
    convnet.CONFIG,
    name='convnet_binary_weight',
    title='BinaryConnect paper: ConvNet, 500 epochs',
    notes='The whitening is that of all training images, those of the '
    'validation part among them, as in its code.',
    published=config.Published(
        0.9173, 'Courbariaux et al., BinaryConnect, 1511.00363, Table 2',
        epoch='best on validation'),
    input='whitened', kind='binary-weight')
