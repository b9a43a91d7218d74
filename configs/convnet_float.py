"""The float twin of BinaryNet's ConvNet."""
import dataclasses

from configs import convnet

CONFIG = dataclasses.replace(
    convnet.CONFIG,
    name='convnet_float',
    title='the ConvNet, float, 500 epochs',
    notes='It whitens the images; ours are as they are.',
    published=None,
    kind='float', lr_scale='none')
