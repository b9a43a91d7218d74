"""The float twin of the shallow net."""
import dataclasses

from bnn.training.command_line import config
from configs import shallow_convnet

CONFIG = dataclasses.replace(
    shallow_convnet.CONFIG,
    name='shallow_convnet_float',
    title='the shallow net, float',
    notes='What was published is an accuracy on validation.',
    published=config.Published(
        0.766, 'Binary-Neural-Networks, its log of the float net: '
        'validation',
        epoch='best on validation',
        reach=0.63),
    binary=False)
