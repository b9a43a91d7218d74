"""ResNet-20 with binary 3x3 convolutions."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='resnet20',
    title='ResNet-20, binary, with Bi-Real shortcuts, 100 epochs',
    notes='Its number is of 400 epochs, without learned shifts. ReCU, AdaBin '
    'and IE-Net have up to 0.885 with 400 to 600.',
    published=config.Published(
        0.865, 'Qin et al., IR-Net, 1909.10788, ResNet-20, 1/1',
        reach=0.88),
    dataset='cifar10', input='standard', augment='crop-flip', net='ResNet20',
    width=16, surrogate='approx-sign', batchsize=100, epoch=100, lr=.005,
    lr_schedule='cosine')
