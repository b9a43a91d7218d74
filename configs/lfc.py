"""BNN-PYNQ's LFC."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='lfc',
    title='BNN-PYNQ LFC: 3 x 1024, 1-bit inputs; 120 epochs on varied images',
    notes='Its training is not published in detail.',
    published=config.Published(
        0.9888, 'BNN-PYNQ, README, LFC-W1A1',
        reach=0.9895),
    net='BinaryMLP', layers=3, unit=1024, input='binary', augment='affine',
    surrogate='approx-sign', clip='weights', lr=.01, lr_schedule='cosine',
    precise_bn=True, epoch=120)
