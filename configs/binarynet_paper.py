"""BinaryNet's MLP for MNIST."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='binarynet_paper',
    title='BinaryNet paper: 3 x 4096, 1000 epochs',
    notes='It draws its initial weights from [-1, 1]; ours are N(0, 1/n).',
    published=config.Published(
        0.9904, 'Courbariaux et al., BinaryNet, 1602.02830, Table 1 '
        '(Theano)',
        epoch='best on validation'),
    net='BinaryMLP', layers=3, unit=4096, validation=10000, input='signed',
    dropout_input=.2, dropout_hidden=.5, loss='squared-hinge',
    clip='weights', lr=.003, lr_final=3e-7, lr_schedule='exponential',
    lr_scale='glorot', epoch=1000)
