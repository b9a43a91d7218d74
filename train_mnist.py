#!/usr/bin/env python3
"""Train a binary, quantized or float net on MNIST.

By default the net of binary_net: weights that are binarized at each
computation and binary activations, with the gradient passed straight through
(BinaryNet, 1602.02830).
"""
from bnn import environment

environment.check(__file__)

import chainer

import net
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
from zoo.quantized_net import qst
from zoo.xnor_net import lenet5

_SIZES = 'unit', 'layers', 'dropout_input', 'dropout_hidden'
_BLOCKS = 'surrogate', 'weight_scale', 'input_scale', 'shift'
_LENET5 = {'epoch': 60, 'batchsize': 128, 'lr': 0.01, 'lr_schedule': 'step',
           'lr_steps': [15, 30, 45], 'weight_decay': 1e-5,
           'input': 'standard'}

NETS = {
    'binary': nets.Net(
        net.BinaryMLP, (*_SIZES, 'binarize', 'surrogate'), clip='all',
        bop=True, n_in=True),
    'quantized': nets.Net(
        net.QuantizedMLP, (*_SIZES, 'w_bits', 'a_bits', 'quantizer'),
        clip='weights', n_in=True),
    'float': nets.Net(
        net.FloatMLP, (*_SIZES, 'batch_norm'), n_in=True,
        defaults={'unit': 2048, 'layers': 3, 'dropout_hidden': 0.5}),
    'binary-weight': nets.Net(
        net.BinaryWeightMLP, (*_SIZES, 'batch_norm', 'binarize'),
        clip='weights', bop=True, n_in=True,
        defaults={'unit': 2048, 'layers': 3}),
    # As XNOR-Net-PyTorch
    'lenet5': nets.Net(
        lenet5.LeNet5, _BLOCKS, {'binary': True}, _LENET5),
    'lenet5-float': nets.Net(
        lenet5.LeNet5, (), {'binary': False}, _LENET5),
}
RECIPES = {
    # Chosen on a validation part, docs/recipe_best.md
    'best': nets.Recipe(
        'binary weights and activations, as good as 20 epochs make them',
        ('binary',), {
            'optimizer': 'adam', 'lr': 0.01, 'lr_schedule': 'cosine',
            'batchsize': 50, 'clip': 'weights', 'dropout_input': 0.2,
            'adversarial': 0.03, 'precise_bn': True}),
    # It left the last layer untrained, this does not.
    'seed003': nets.Recipe(
        'what Binary-Neural-Networks trained with',
        ('float', 'binary-weight'), {
            'optimizer': 'sgd', 'lr': 0.001, 'batchsize': 256, 'epoch': 200,
            'batch_norm': False, 'validation': 10000}),
}


def make_parser():
    parser = arguments.Parser(description=__doc__.splitlines()[0])
    options.add_training(
        parser, datasets.NAMES, ('none', 'shift', 'affine'), epoch=20,
        batchsize=100)
    options.add_learning(parser, optimization.OPTIMIZERS, RECIPES)
    optimization.add_options(parser)
    group = parser.add_argument_group('net')
    group.add_setting(
        '--net', choices=list(NETS), default='binary',
        help='perceptrons with binary weights and activations, k-bit ones, '
        'float ones with ReLU, or binary weights with ReLU; LeNet-5 of '
        'XNOR-Net, or float')
    group.add_setting(
        '--unit', '-u', type=arguments.positive, default=1000, metavar='N',
        help='units in each hidden layer; 2048 for float, binary-weight')
    group.add_setting(
        '--layers', type=arguments.positive, default=2, metavar='N',
        help='hidden layers; 3 for float, binary-weight')
    group.add_setting(
        '--w-bits', type=int, choices=qst.BITS, default=2, metavar='K',
        help='bits of a weight, 1 to 8 or 32 (quantized)')
    group.add_setting(
        '--a-bits', type=int, choices=qst.BITS, default=2, metavar='K',
        help='bits of an activation, 1 to 8, or 32: its clip alone '
        '(quantized)')
    group.add_setting(
        '--quantizer', choices=qst.QUANTIZERS, default='dorefa',
        help="DoReFa's or QNN's LinearQuant (quantized)")
    group.add_setting(
        '--dropout-input', type=arguments.ratio, default=0., metavar='P',
        help='ratio of inputs that training drops')
    group.add_setting(
        '--dropout-hidden', type=arguments.ratio, default=0., metavar='P',
        help='ratio of hidden units that training drops; 0.5 for float')
    binarization.add_options(group, NETS)
    return parser


def describe_net(args, net_args):
    """Returns the net in words, for the header."""
    if 'n_units' not in net_args:
        return args.net
    sizes = (net_args['n_in'], *[args.unit] * args.layers, net_args['n_out'])
    return '%s MLP, %s' % (args.net, '-'.join(map(str, sizes)))


def main(argv=None):
    run = session.start(
        make_parser(), argv, NETS, RECIPES, optimization.LEARNING_RATES)
    args, device = run.args, run.device

    # Data: uint8 images, scaled batch by batch
    data = data_module.load(run)
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
        run.print_header(describe_net(args, net_args), data, out)
        trainer = chainer.training.Trainer(
            updater, run.stop_trigger(), out)
        return running.run(run, trainer, data, validation, tester, {
            'net_class': type(predictor).__name__, 'net_args': net_args})


if __name__ == '__main__':
    cli.run(main)
