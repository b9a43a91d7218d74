"""Binary-Neural-Networks: the float baseline on MNIST."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='float_mlp',
    title='Binary-Neural-Networks: float baseline, 200 epochs',
    notes='Its last layer is never trained; ours is. It shuffles the data '
    'once; ours at each epoch. At its rate, 0.001, ours has 0.91 on '
    'validation at epoch 50, its log 0.967.',
    published=config.Published(
        0.9687, 'Binary-Neural-Networks, README, Experiment 1, Baseline',
        epoch='best on validation'),
    net='FloatMLP', unit=2048, layers=3, batch_norm=False, dropout_hidden=.5,
    optimizer='sgd', lr=.001, batchsize=256, epoch=200, validation=10000)
