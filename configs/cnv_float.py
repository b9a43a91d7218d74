"""Float twin of BNN-PYNQ's CNV."""
import dataclasses

from configs import cnv

CONFIG = dataclasses.replace(
    cnv.CONFIG,
    name='cnv_float',
    title='CNV with float weights and ReLU, 100 epochs',
    notes='Nobody published it.',
    published=None,
    w_bits=32, a_bits=32, lr=.001, weight_decay=1e-4)
