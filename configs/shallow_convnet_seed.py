"""The shallow net with the settings of the seed."""
import dataclasses

from configs import shallow_convnet

CONFIG = dataclasses.replace(
    shallow_convnet.CONFIG,
    name='shallow_convnet_seed',
    title="the same, the seed's settings, 200 epochs",
    notes='It leaves the last layer untrained, ours does not.',
    published=None,
    input='unit', batch_norm=False, optimizer='sgd', lr=.001,
    lr_schedule='constant', batchsize=256, validation=10000, epoch=200)
