"""A binary net for CIFAR-10 in an hour or two on two cores."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='cifar10_fast',
    title='CIFAR-10 in an hour or two on two cores: a wide net, 30 epochs',
    published=config.Published(
        None, 'none; airbench has 0.94 with floats and these sizes',
        reach=.88),
    dataset='cifar10', input='standard', augment='crop-flip',
    net='FastConvNet', width=64, surrogate='approx-sign', clip='weights',
    label_smoothing=.1, batchsize=100, epoch=30, lr=.005, lr_schedule='cosine')
