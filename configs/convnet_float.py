"""The float twin of BinaryNet's ConvNet."""
import dataclasses

from configs import convnet

CONFIG = dataclasses.replace(
    convnet.CONFIG,
    name='convnet_float',
    title='the ConvNet, float, 500 epochs',
    notes='',
    published=None,
    kind='float', lr_scale='none')
