"""The float baseline in 20 epochs with a schedule."""
import dataclasses

from bnn.training.command_line import config
from configs import float_mlp_sum

CONFIG = dataclasses.replace(
    float_mlp_sum.CONFIG,
    name='float_mlp_schedule',
    title='the same, 20 epochs, cosine from 0.256',
    notes='As float_mlp_sum.',
    published=config.Published(
        0.9687, 'Binary-Neural-Networks, README, Experiment 1, Baseline',
        epoch='best on validation'),
    epoch=20, lr_schedule='cosine')
