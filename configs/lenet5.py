"""LeNet-5 of XNOR-Net-PyTorch on MNIST."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='lenet5',
    title='XNOR-Net-PyTorch: LeNet-5, 60 epochs',
    notes='Its number is the best epoch on the test set. Evaluating it '
    'changes its weights.',
    published=config.Published(
        0.9923, 'XNOR-Net-PyTorch, README, MNIST, LeNet-5',
        epoch='best on test'),
    net='LeNet5', input='standard', clip='none', batchsize=128, epoch=60,
    lr=.01, lr_schedule='step', lr_steps=[15, 30, 45], weight_decay=1e-5)
