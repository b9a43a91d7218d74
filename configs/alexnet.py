"""AlexNet of XNOR-Net-PyTorch on ImageNet."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='alexnet',
    title='XNOR-Net-PyTorch: AlexNet, 100 epochs',
    notes='Its number is the best epoch on the test set.',
    published=config.Published(
        0.4487, 'XNOR-Net-PyTorch, README, ImageNet, AlexNet',
        epoch='best on test',
        top5=0.6970),
    dataset='imagenet', input='standard', augment='random-crop',
    net='AlexNet', unit=4096, clip='none', min_gamma=0., gradient_scale=1e9,
    batchsize=256, epoch=100, lr_schedule='step', lr_steps=[30, 60, 90],
    weight_decay=1e-5)
