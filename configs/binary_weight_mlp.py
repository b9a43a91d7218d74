"""Binary-Neural-Networks: binary weights on MNIST."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='binary_weight_mlp',
    title='Binary-Neural-Networks: binary weights, 200 epochs, at rate '
    "0.00001 (the seed's: 0.001)",
    notes='As the baseline. With its rate, 0.001, and a last layer that is '
    'trained, every ReLU dies in the first epoch (accuracy 0.11); ours is '
    '0.00001.',
    published=config.Published(
        0.9372, 'Binary-Neural-Networks, README, Experiment 1, Binarized',
        epoch='best on validation'),
    net='BinaryWeightMLP', unit=2048, layers=3, batch_norm=False, clip='all',
    optimizer='sgd', lr=.00001, batchsize=256, epoch=200, validation=10000)
