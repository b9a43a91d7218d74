"""The float twin of the shallow net."""
import dataclasses

from configs import shallow_convnet

CONFIG = dataclasses.replace(
    shallow_convnet.CONFIG,
    name='shallow_convnet_float',
    title='the shallow net, float',
    notes='What was published is an accuracy on validation.',
    binary=False)
