"""Float AlexNet of XNOR-Net-PyTorch."""
import dataclasses

from configs import alexnet

CONFIG = dataclasses.replace(
    alexnet.CONFIG,
    name='alexnet_float',
    title='XNOR-Net-PyTorch: float AlexNet, 100 epochs',
    notes='',
    published=None,
    binary=False)
