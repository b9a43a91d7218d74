"""LeNet-5 on varied images, with ReActNet's shifts."""
import dataclasses

from configs import lenet5

CONFIG = dataclasses.replace(
    lenet5.CONFIG,
    name='lenet5_varied',
    title="XNOR-Net's LeNet-5 on varied images, with ReActNet's shifts",
    published=dataclasses.replace(lenet5.CONFIG.published, reach=0.9945),
    surrogate='approx-sign', shift=True, augment='affine', precise_bn=True,
    lr_schedule='cosine', lr_steps=None)
