#!/usr/bin/env python3
"""Train a binary or float convolutional net on CIFAR-10.

By default the shallow net of Binary-Neural-Networks with binary weights and
batch normalization.
"""
from bnn import environment

environment.check(__file__)

import chainer

from bnn import data as datasets
from bnn.training import arguments
from bnn.training import cli
from bnn.training import data as data_module
from bnn.training import nets
from bnn.training import options
from bnn.training import reports
from bnn.training import running
from bnn.training import session
from bnn.training import summary
from zoo import binarization
from zoo import optimization
from zoo.binary_neural_networks import shallow_convnet
from zoo.binarynet import convnet
from zoo.xnor_net import nin

# As BinaryNet's code
_CONVNET = {
    'epoch': 500, 'batchsize': 50, 'validation': 5000, 'input': 'signed',
    'loss': 'squared-hinge', 'lr': 0.001, 'lr_schedule': 'exponential',
    'lr_final': 3e-7}
# As XNOR-Net-PyTorch
_NIN = {
    'epoch': 320, 'batchsize': 128, 'input': 'standard', 'lr': 0.01,
    'lr_schedule': 'step', 'lr_steps': [120, 200, 240, 280],
    'weight_decay': 1e-5}

NETS = {
    'shallow': nets.Net(
        shallow_convnet.ShallowConvNet, ('binarize', 'batch_norm'),
        {'binary': True}, clip='weights', bop=True),
    'shallow-float': nets.Net(
        shallow_convnet.ShallowConvNet, ('batch_norm',),
        {'binary': False}),
    'convnet': nets.Net(
        convnet.ConvNet, ('width', 'binarize', 'surrogate', 'pad_value'),
        {'kind': 'binary'}, {**_CONVNET, 'lr_scale': 'glorot'},
        clip='weights', bop=True),
    'convnet-binary-weight': nets.Net(
        convnet.ConvNet, ('width', 'binarize'),
        {'kind': 'binary-weight'}, {**_CONVNET, 'lr_scale': 'glorot'},
        clip='weights', bop=True),
    'convnet-float': nets.Net(
        convnet.ConvNet, ('width',), {'kind': 'float'}, _CONVNET),
    'nin': nets.Net(
        nin.NIN, ('surrogate', 'weight_scale', 'input_scale', 'shift'),
        {'binary': True}, _NIN),
    'nin-float': nets.Net(nin.NIN, (), {'binary': False}, _NIN),
}
RECIPES = {
    # It left the last layer untrained, this does not.
    'seed003': nets.Recipe(
        'what Binary-Neural-Networks trained with',
        ('shallow', 'shallow-float'), {
            'optimizer': 'sgd', 'lr': 0.001, 'lr_schedule': 'constant',
            'batchsize': 256, 'epoch': 200, 'batch_norm': False,
            'input': 'unit', 'augment': 'none', 'validation': 10000}),
}


def make_parser():
    parser = arguments.Parser(description=__doc__.splitlines()[0])
    options.add_training(
        parser, datasets.CIFAR_NAMES, ('none', 'crop-flip'), epoch=30,
        batchsize=128)
    options.add_learning(parser, optimization.OPTIMIZERS, RECIPES)
    parser.set_defaults(lr_schedule='cosine', input='standard')
    optimization.add_options(parser)
    group = parser.add_argument_group('net')
    group.add_setting(
        '--net', choices=list(NETS), default='shallow',
        help='the shallow net of Binary-Neural-Networks with binary weights, '
        'or float; the ConvNet of BinaryNet, BinaryConnect, or float; NIN of '
        'XNOR-Net, or float')
    group.add_setting(
        '--width', type=arguments.positive, default=128, metavar='N',
        help='filters of the first layer (convnet)')
    binarization.add_options(group, NETS)
    return parser


def main(argv=None):
    run = session.start(
        make_parser(), argv, NETS, RECIPES, optimization.LEARNING_RATES)
    args, device = run.args, run.device

    # Data: uint8 images, scaled batch by batch
    data = data_module.load(run, 'cifar10')
    train, validation, test = data_module.feeds(data, run)

    # Net
    net_args, predictor = nets.make(NETS[args.net], args, data)
    model = nets.make_model(run, predictor)
    if args.summary:
        return print(summary.describe(predictor, test.first(device)))

    # Test
    tester = run.evaluator(test, model)
    if args.evaluate:
        return reports.print_test(tester)

    # Optimizer and trainer
    optimizer = optimization.make(run, model, **NETS[args.net].xnor)
    updater = run.updater(train, optimizer)
    with run.output_folder() as out:
        run.print_header(args.net, data, out)
        trainer = chainer.training.Trainer(
            updater, run.stop_trigger(), out)
        return running.run(run, trainer, data, validation, tester, {
            'net_class': type(predictor).__name__, 'net_args': net_args})


if __name__ == '__main__':
    cli.run(main)
