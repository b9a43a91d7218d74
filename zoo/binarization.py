"""The options of a training script on how its nets binarize."""
import argparse

import bst
from bnn.training import nets as nets_module


def add_options(group, nets):
    """Adds the options of a script's nets, those that one of them takes.

    Args:
        group: A group of a :class:`~bnn.training.arguments.Parser`.
        nets (dict): Names to :class:`~bnn.training.nets.Net`.
    """
    yes_or_no = {'action': argparse.BooleanOptionalAction}
    for flag, words, kwargs in (
            ('--binarize', 'sign of a weight, or in training a draw', {
                'choices': ('deterministic', 'stochastic'),
                'default': 'deterministic'}),
            ('--surrogate', 'what stands for the derivative of the sign of '
             'an activation', {
                 'choices': list(bst.SURROGATES), 'default': 'ste'}),
            ('--weight-scale', 'the signs of a filter are scaled by the mean '
             'of its absolute weights, with the gradient of that, the '
             'straight-through one, or are not', {
                 'choices': list(nets_module.SCALES),
                 'default': 'corrected'}),
            ('--input-scale', 'the result is scaled by the mean of the '
             'absolute inputs, K of XNOR-Net', {
                 **yes_or_no, 'default': False}),
            ('--shift', 'sign and ReLU have learnable shifts, as in ReActNet',
             {**yes_or_no, 'default': False}),
            ('--batch-norm', 'batch normalization', {
                **yes_or_no, 'default': True}),
            ('--pad-value', 'what the padding of signs is', {
                'type': int, 'choices': (0, 1), 'default': 0})):
        takers = nets_module.takers(nets, flag[2:].replace('-', '_'))
        if takers:
            group.add_setting(
                flag, help='%s (%s)' % (words, ', '.join(takers)), **kwargs)
