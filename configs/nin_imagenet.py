"""NIN with XNOR-Net's blocks on ImageNet."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='nin_imagenet',
    title="NIN for ImageNet with XNOR-Net's blocks, 100 epochs",
    dataset='imagenet', input='standard', augment='random-crop',
    net='NINImageNet', clip='none', gradient_scale=1e9, batchsize=256,
    epoch=100, lr_schedule='step', lr_steps=[30, 60, 90], weight_decay=1e-5)
