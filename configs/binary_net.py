"""binary_net: the binary MLP with the seed's settings."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='binary_net',
    title="binary_net: binary MLP, the seed's settings, 20 epochs",
    notes='Its CPU path never clipped, and it tested with batch statistics '
    '(--test-statistics batch does).',
    published=config.Published(
        0.9766, 'binary_net by chainer, README (with batch statistics)',
        epoch='last'),
    net='BinaryMLP', unit=1000, layers=2,
    optimizer='adam', lr=.001, clip='all', batchsize=100, epoch=20)
