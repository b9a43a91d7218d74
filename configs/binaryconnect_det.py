"""BinaryConnect's MLP for MNIST, with the signs of its weights."""
import dataclasses

from bnn.training.command_line import config
from configs import binaryconnect

CONFIG = dataclasses.replace(
    binaryconnect.CONFIG,
    name='binaryconnect_det',
    title='the same, the signs of the weights',
    published=config.Published(
        0.9871, 'Courbariaux et al., BinaryConnect, 1511.00363, Table 2, '
        'BinaryConnect (det.)',
        epoch='best on validation', reach=0.985),
    binarize='deterministic')
