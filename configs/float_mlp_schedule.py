"""The float baseline in 20 epochs with a schedule."""
import dataclasses

from configs import float_mlp_sum

CONFIG = dataclasses.replace(
    float_mlp_sum.CONFIG,
    name='float_mlp_schedule',
    title='the same, 20 epochs, cosine from 0.256',
    notes='As float_mlp_sum.',
    epoch=20, lr_schedule='cosine')
