"""Float LeNet-5 of XNOR-Net-PyTorch."""
import dataclasses

from configs import lenet5

CONFIG = dataclasses.replace(
    lenet5.CONFIG,
    name='lenet5_float',
    title='XNOR-Net-PyTorch: float LeNet-5, 60 epochs',
    notes='Its number is the best epoch on the test set.',
    binary=False)
