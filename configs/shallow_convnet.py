"""The CIFAR-10 net of Binary-Neural-Networks."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='shallow_convnet',
    title='Binary-Neural-Networks: shallow net, binary weights, with batch '
    'normalization, 4 epochs',
    notes='Its 0.63 is a note without settings. Its last layer is never '
    'trained, and it has no batch normalization; shallow_convnet_seed has '
    'its settings.',
    published=config.Published(
        0.63, 'Binary-Neural-Networks, README: CIFAR-10, binary weights'),
    dataset='cifar10', input='standard', net='ShallowConvNet', batchsize=128,
    lr_schedule='cosine', epoch=4)
