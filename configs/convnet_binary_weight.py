"""BinaryConnect's ConvNet for CIFAR-10."""
import dataclasses

from configs import convnet

CONFIG = dataclasses.replace(
    convnet.CONFIG,
    name='convnet_binary_weight',
    title='BinaryConnect paper: ConvNet, 500 epochs',
    notes='It whitens the images; ours are as they are.',
    kind='binary-weight')
