"""BNN-PYNQ's CNV, 1-bit weights and 2-bit activations."""
import dataclasses

from bnn.training.command_line import config
from configs import cnv

CONFIG = dataclasses.replace(
    cnv.CONFIG,
    name='cnv_w1a2',
    title='BNN-PYNQ CNV: 1-bit weights, 2-bit activations, 100 epochs',
    notes='Its number is of 500 epochs, its 2 bits are -1, 0 and +1; ours '
    "are DoReFa's four levels.",
    published=config.Published(
        0.8780, 'Brevitas, bnn_pynq, README, CNV_1W2A'),
    w_bits=1, a_bits=2)
