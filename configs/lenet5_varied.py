"""LeNet-5 on varied images."""
import dataclasses

from bnn.training.command_line import config
from configs import lenet5

CONFIG = dataclasses.replace(
    lenet5.CONFIG,
    name='lenet5_varied',
    title='LeNet-5 as above, 18 epochs on varied images',
    notes='Its number is the best epoch on the test set.',
    published=config.Published(
        0.9923, 'XNOR-Net-PyTorch, README, MNIST, LeNet-5',
        epoch='best on test'),
    augment='affine', precise_bn=True, lr_schedule='cosine',
    lr_steps=None, epoch=18)
