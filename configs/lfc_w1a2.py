"""BNN-PYNQ's LFC, 1-bit weights and 2-bit activations."""
import dataclasses

from bnn.training.command_line import config
from configs import lfc

CONFIG = dataclasses.replace(
    lfc.CONFIG,
    name='lfc_w1a2',
    title='BNN-PYNQ LFC: 1-bit weights, 2-bit activations, 120 epochs',
    notes='Its 2 bits are -1, 0 and +1; ours are four levels from 0 to 1.',
    published=config.Published(
        0.9899, 'Brevitas, bnn_pynq, README, LFC_1W2A',
        reach=0.9905),
    net='QuantizedMLP', w_bits=1, a_bits=2, surrogate='ste')
