"""Float NIN of XNOR-Net-PyTorch."""
import dataclasses

from configs import nin

CONFIG = dataclasses.replace(
    nin.CONFIG,
    name='nin_float',
    title='XNOR-Net-PyTorch: float NIN, 320 epochs',
    notes='Its number is the best epoch on the test set. It whitens the images and'
    ' varies none; ours are varied.',
    binary=False)
