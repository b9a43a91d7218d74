"""The float baseline, its rate read as that of a summed loss."""
import dataclasses

from configs import float_mlp

CONFIG = dataclasses.replace(
    float_mlp.CONFIG,
    name='float_mlp_sum',
    title='the same, its rate for a loss summed over the batch (0.256 for '
    'the mean), 200 epochs',
    notes='Whether its loss is a sum is not known, see float_mlp.',
    lr=.256)
