"""BinaryNet's ConvNet for CIFAR-10."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='convnet',
    title='BinaryNet paper: ConvNet, 500 epochs',
    notes="Its code has pixels in [-1, 1], as here; BinaryConnect's images "
    'were whitened.',
    published=config.Published(
        0.8985, 'Courbariaux et al., BinaryNet, 1602.02830, Table 1 '
        '(Theano)',
        epoch='best on validation'),
    dataset='cifar10', input='signed', validation=5000, net='ConvNet',
    batchsize=50, epoch=500, loss='squared-hinge', lr=.001,
    lr_schedule='exponential', lr_final=3e-7, lr_scale='glorot')
