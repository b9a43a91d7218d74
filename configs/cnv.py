"""BNN-PYNQ's CNV, binary weights and activations."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='cnv',
    title='BNN-PYNQ CNV: 1-bit weights, 1-bit activations, 100 epochs',
    notes='Its number is of 1000 epochs.',
    published=config.Published(
        0.8422, 'Brevitas, bnn_pynq, README, CNV_1W1A'),
    dataset='cifar10', input='signed', augment='crop-flip', net='CNV',
    w_bits=1, a_bits=1, batchsize=100, epoch=100, lr=.005,
    lr_schedule='cosine')
