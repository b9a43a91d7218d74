#!/usr/bin/env python3
"""Train a binary or float AlexNet or NIN on a folder of images.

The folder is laid out as ImageNet's: train/<class>/* and val/<class>/*.
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
from zoo.xnor_net import alexnet
from zoo.xnor_net import nin

_BLOCKS = 'surrogate', 'weight_scale', 'input_scale', 'shift'
# As XNOR-Net-PyTorch
_SEED = {'input': 'standard', 'lr_schedule': 'step', 'lr_steps': [30, 60, 90],
         'weight_decay': 1e-5}

NETS = {
    # XNOR-Net-PyTorch bounds the gammas of its other nets only.
    'alexnet': nets.Net(
        alexnet.AlexNet, ('unit', *_BLOCKS), {'binary': True}, _SEED,
        xnor={'min_gamma': None, 'extra': 1e9}),
    'alexnet-float': nets.Net(
        alexnet.AlexNet, ('unit',), {'binary': False}, _SEED),
    'nin': nets.Net(
        nin.NINImageNet, _BLOCKS, {'binary': True}, _SEED,
        xnor={'extra': 1e9}),
    'nin-float': nets.Net(
        nin.NINImageNet, (), {'binary': False}, _SEED),
}


def make_parser():
    parser = arguments.Parser(description=__doc__.splitlines()[0])
    options.add_training(
        parser, datasets.IMAGENET_NAMES, ('random-crop', 'center-crop'),
        epoch=100, batchsize=256)
    # Bop has no scaled weights.
    options.add_learning(parser, {
        name: kind for name, kind in optimization.OPTIMIZERS.items()
        if name != 'bop'}, {})
    parser.add_argument(
        '--workers', type=arguments.positive, metavar='N',
        help='threads that read images (default: one for each core)')
    group = parser.add_argument_group('net')
    group.add_setting(
        '--net', choices=list(NETS), default='alexnet',
        help='AlexNet or NIN of XNOR-Net, or float')
    group.add_setting(
        '--unit', '-u', type=arguments.positive, default=4096, metavar='N',
        help='units of the linear layers (alexnet)')
    binarization.add_options(group, NETS)
    return parser


def main(argv=None):
    run = session.start(
        make_parser(), argv, NETS, {}, optimization.LEARNING_RATES)
    args, device = run.args, run.device

    # Data: uint8 images, decoded and scaled batch by batch
    data = data_module.load(run, 'imagenet')
    train, validation, test = data_module.feeds(data, run)

    # Net
    net_args, predictor = nets.make(NETS[args.net], args, data)
    model = nets.make_model(run, predictor, top5=True)
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
