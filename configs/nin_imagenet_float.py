"""Float NIN for ImageNet."""
import dataclasses

from configs import nin_imagenet

CONFIG = dataclasses.replace(
    nin_imagenet.CONFIG,
    name='nin_imagenet_float',
    title='NIN for ImageNet, float, 100 epochs',
    binary=False)
