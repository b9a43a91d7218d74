"""NIN of XNOR-Net-PyTorch on CIFAR-10."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='nin',
    title='XNOR-Net-PyTorch: NIN, 320 epochs',
    notes='Its number is the best epoch on the test set. It whitens the '
    'images and varies none; ours are varied, nin_whitened has its.',
    published=config.Published(
        0.8628, 'XNOR-Net-PyTorch, README, CIFAR-10, NIN',
        epoch='best on test'),
    dataset='cifar10', input='standard', augment='crop-flip', net='NIN',
    clip='none', batchsize=128, epoch=320, lr=.01, lr_schedule='step',
    lr_steps=[120, 200, 240, 280], weight_decay=1e-5)
