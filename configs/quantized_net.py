"""quantized_net: the 3-bit MLP with the seed's settings."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='quantized_net',
    title="quantized_net: 3-bit MLP, the seed's settings, 20 epochs",
    notes='It does not say its bits; of 2, 3 and 4 with DoReFa, 3 and 3 '
    'give its training curve.',
    published=config.Published(
        0.9806, 'quantized_net by chainer, README',
        epoch='last'),
    net='QuantizedMLP', unit=1000, layers=2, w_bits=3, a_bits=3, clip='all',
    report='table', epoch=20)
