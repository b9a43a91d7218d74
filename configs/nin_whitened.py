"""NIN of XNOR-Net-PyTorch on whitened CIFAR-10."""
import dataclasses

from configs import nin

CONFIG = dataclasses.replace(
    nin.CONFIG,
    name='nin_whitened',
    title='XNOR-Net-PyTorch: NIN, its whitened images, 320 epochs',
    notes='Its number is the best epoch on the test set.',
    input='whitened', augment='none')
