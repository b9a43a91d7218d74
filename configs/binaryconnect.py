"""BinaryConnect's MLP for MNIST, its weights drawn."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='binaryconnect',
    title='BinaryConnect paper: 3 x 1024, L2-SVM, stochastic weights; 50 '
    'epochs',
    notes='It trains for 1000 epochs on 50,000 images. The first rate of its '
    'code is 0.001, with 2048 units and 250 epochs.',
    published=config.Published(
        0.9882, 'Courbariaux et al., BinaryConnect, 1511.00363, Table 2, '
        'BinaryConnect (stoch.)',
        epoch='best on validation', reach=0.985),
    net='BinaryWeightMLP', layers=3, unit=1024, input='signed',
    binarize='stochastic', loss='squared-hinge', clip='weights', lr=.003,
    lr_final=3e-6, lr_schedule='exponential', lr_scale='glorot',
    weight_init='uniform', batchsize=100, epoch=50)
