#!/usr/bin/env python3
"""Train a binary, quantized or float net on MNIST.

By default the net of binary_net: weights that are binarized at each
computation and binary activations, with the gradient passed straight through
(BinaryNet, 1602.02830).
"""
import argparse

from bnn import environment

environment.check(__file__)

import chainer
import chainer.links as L
import numpy

import bop
import bst
import net
import net_lenet5
import qst
import weight_clip
import xnor
from bnn import datasets
from bnn import errors
from bnn.training import arguments
from bnn.training import averages
from bnn.training import cli
from bnn.training import data as data_module
from bnn.training import devices
from bnn.training import evaluator
from bnn.training import inputs
from bnn.training import losses
from bnn.training import models
from bnn.training import options
from bnn.training import resuming
from bnn.training import schedules
from bnn.training import session
from bnn.training import stop
from bnn.training import summary

OPTIMIZERS = {'adam': chainer.optimizers.Adam, 'sgd': chainer.optimizers.SGD,
              'momentum': chainer.optimizers.MomentumSGD, 'bop': bop.Bop}
LEARNING_RATES = {'adam': 1e-3, 'sgd': 1e-2, 'momentum': 1e-2, 'bop': 1e-3}

NETS = {**net.NETS, 'lenet5': net_lenet5.LeNet5,
        'lenet5-float': net_lenet5.LeNet5}
_LENET5 = {'epoch': 60, 'batchsize': 128, 'lr': 0.01, 'lr_schedule': 'step',
           'lr_steps': [15, 30, 45], 'weight_decay': 1e-5,
           'input': 'standard', 'clip': 'none'}

# What differs from the options' own defaults
NET_DEFAULTS = {
    'float': {'unit': 2048, 'layers': 3, 'dropout_hidden': 0.5},
    'binary-weight': {'unit': 2048, 'layers': 3},
    # As XNOR-Net-PyTorch
    'lenet5': _LENET5, 'lenet5-float': _LENET5,
}
RECIPES = {
    # Binary weights and activations, as good as 20 epochs make them; chosen
    # on a validation part, docs/recipe_best.md
    'best': {'optimizer': 'adam', 'lr': 0.01, 'lr_schedule': 'cosine',
             'clip': 'weights', 'dropout_input': 0.2, 'dropout_hidden': 0.1,
             'precise_bn': True},
    # What Binary-Neural-Networks trained with, for --net float and
    # binary-weight; it left the last layer untrained, this does not
    'seed003': {'optimizer': 'sgd', 'lr': 0.001, 'batchsize': 256,
                'epoch': 200, 'batch_norm': False, 'validation': 10000},
}
RECIPE_OF = {'best': ('binary',), 'seed003': ('float', 'binary-weight')}
# Options of some nets only
OPTIONS_OF = {
    'w_bits': ('quantized',), 'a_bits': ('quantized',),
    'quantizer': ('quantized',), 'surrogate': ('binary',),
    'binarize': ('binary', 'binary-weight'),
    'batch_norm': ('float', 'binary-weight'),
    'clip': ('binary', 'quantized', 'binary-weight'),
    'lr_scale': ('binary', 'quantized', 'binary-weight'),
    **dict.fromkeys(('unit', 'layers', 'dropout_input', 'dropout_hidden'),
                    tuple(net.NETS)),
}


def make_parser():
    parser = arguments.Parser(description=__doc__.splitlines()[0])
    options.add_training(parser, datasets.NAMES, epoch=20, batchsize=100)
    options.add_learning(parser, OPTIMIZERS)
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
        '--binarize', choices=('deterministic', 'stochastic'),
        default='deterministic',
        help='sign of a weight, or in training a draw (binary, '
        'binary-weight)')
    group.add_setting(
        '--surrogate', choices=list(bst.SURROGATES), default='ste',
        help='what stands for the derivative of the sign (binary)')
    group.add_setting(
        '--batch-norm', action=argparse.BooleanOptionalAction, default=True,
        help='batch normalization (float, binary-weight)')
    group.add_setting(
        '--dropout-input', type=arguments.ratio, default=0., metavar='P',
        help='ratio of inputs that training drops')
    group.add_setting(
        '--dropout-hidden', type=arguments.ratio, default=0., metavar='P',
        help='ratio of hidden units that training drops; 0.5 for float')
    group.add_setting(
        '--bop-adaptivity', type=arguments.positive_float, default=1e-4,
        metavar='GAMMA', help='how fast the average gradient follows (bop)')
    group.add_setting(
        '--bop-threshold', type=arguments.not_negative_float, default=1e-8,
        metavar='TAU', help='how large it has to be for a flip (bop)')
    parser.add_argument(
        '--recipe', choices=list(RECIPES),
        help='a set of options: best, for binary weights and activations; '
        'seed003, what Binary-Neural-Networks trained with')
    return parser


def settle(parser, args, resume):
    """Settles the options that depend on others.

    Args:
        parser (~bnn.training.arguments.Parser): The parser.
        args (argparse.Namespace): The options, changed.
        resume (~bnn.training.resuming.Resume or None): The run to go on with.

    Returns:
        ~bnn.training.schedules.Schedule: The learning rates.

    Raises:
        ~bnn.errors.UserError: If options contradict one another.
    """
    recipe = RECIPES.get(args.recipe, {})
    chosen = {**recipe, **args.given}
    if resume is not None:
        resume.apply(parser, args, chosen)
    else:
        if args.initmodel is not None:
            resuming.take_from_model(parser, args, ['net'])
        if args.recipe is not None and args.net not in RECIPE_OF[args.recipe]:
            raise errors.UserError('--recipe %s is for --net %s, not %s' % (
                args.recipe, ' or '.join(RECIPE_OF[args.recipe]), args.net))
        arguments.set_defaults(
            args, {**NET_DEFAULTS.get(args.net, {}), **recipe})
        if args.initmodel is not None:
            resuming.take_from_model(parser, args, [
                'unit', 'layers', 'w_bits', 'a_bits', 'quantizer',
                'batch_norm', 'input'])
        if args.evaluate:
            resuming.take_from_model(parser, args, ['loss', 'dataset'])
        if 'lr_steps' not in chosen and args.lr_steps:
            # The net's own: fewer in a shorter run, none in other schedules
            args.lr_steps = [
                step for step in args.lr_steps if step < args.epoch
                and args.lr_schedule == 'step'] or None
            if args.lr_steps is None and 'lr_schedule' not in chosen:
                args.lr_schedule = 'constant'
        if args.lr is None:
            args.lr = LEARNING_RATES[args.optimizer]
        if args.clip is None:
            args.clip = ('none' if has_float_layers(args) else
                         'all' if args.net == 'binary'
                         and args.optimizer != 'bop' else 'weights')
    for name, nets in OPTIONS_OF.items():
        if name in args.given and args.net not in nets:
            raise errors.UserError('--%s belongs to --net %s, not %s' % (
                name.replace('_', '-'), ' or '.join(nets), args.net))
    if has_float_layers(args) and args.clip != 'none':
        raise errors.UserError(
            '--clip %s: float layers are not clipped' % args.clip)
    for name in ('bop_adaptivity', 'bop_threshold'):
        if name in args.given and args.optimizer != 'bop':
            raise errors.UserError('--%s belongs to --optimizer bop, not %s'
                                   % (name.replace('_', '-'), args.optimizer))
    if args.optimizer == 'bop' and (
            args.net not in ('binary', 'binary-weight')
            or args.binarize == 'stochastic'):
        raise errors.UserError(
            '--optimizer bop has no latent weights: it takes --net binary or '
            'binary-weight with --binarize deterministic')
    if args.optimizer == 'bop' and args.lr_scale != 'none':
        raise errors.UserError(
            '--lr-scale %s is for latent weights, which --optimizer bop has '
            'not' % args.lr_scale)
    return options.check_schedule(args, resume)


def has_float_layers(args):
    """Tells whether the net has layers of float weights."""
    return args.net.startswith(('float', 'lenet5')) or (
        args.net == 'quantized' and args.w_bits == 32)


def make_net(args, data):
    """Makes the net.

    Args:
        args (argparse.Namespace): The options.
        data (~bnn.datasets.Dataset): The data, for the sizes.

    Returns:
        tuple: The arguments of the net's class, for its file, and the net.
    """
    if args.net.startswith('lenet5'):
        net_args = {'n_out': len(data.class_names),
                    'binary': args.net == 'lenet5'}
        return net_args, NETS[args.net](**net_args)
    net_args = {'n_units': args.unit, 'n_out': len(data.class_names),
                'n_in': data.train_images[0].size, 'n_layers': args.layers,
                'dropout_input': args.dropout_input,
                'dropout_hidden': args.dropout_hidden}
    if args.net in ('float', 'binary-weight'):
        net_args['batch_norm'] = args.batch_norm
    if args.net in ('binary', 'binary-weight'):
        net_args['stochastic'] = args.binarize == 'stochastic'
    if args.net == 'binary':
        net_args['surrogate'] = args.surrogate
    if args.net == 'quantized':
        net_args.update(w_bits=args.w_bits, a_bits=args.a_bits,
                        quantizer=args.quantizer)
    return net_args, NETS[args.net](**net_args)


def describe_net(args, net_args):
    """Returns the net in words, for the header."""
    if args.net.startswith('lenet5'):
        return args.net
    sizes = (net_args['n_in'], *[args.unit] * args.layers, net_args['n_out'])
    return '%s MLP, %s' % (args.net, '-'.join(map(str, sizes)))


def main(argv=None):
    parser = make_parser()
    args = parser.parse(argv)
    resume = resuming.find(args)
    schedule = settle(parser, args, resume)
    device = devices.get(args.gpu)
    # Before the iterator, which shuffles at once
    session.seed(args.seed, device)

    # Data: uint8 images, scaled batch by batch
    data = data_module.load(args, resume)
    train_iter, validation_iter, test_iter = data_module.iterators(
        data, args.batchsize)
    converter = inputs.converter(args.input)

    # Net
    net_args, predictor = make_net(args, data)
    model = L.Classifier(
        predictor, losses.LOSSES[args.loss], averages.accuracy)
    if args.initmodel is not None:
        models.load(args.initmodel, model)
    model.to_device(device)
    if args.summary:
        noise = numpy.random.randint(
            0, 256, data.test_images[0].shape, numpy.uint8)
        return print(summary.describe(
            predictor, converter([(noise, 0)], device)[0]))

    # Test
    tester = evaluator.Evaluator(
        test_iter, model, converter, device, args.test_statistics)
    if args.evaluate:
        return session.print_evaluation(tester)

    # Optimizer
    options_of_bop = {} if args.optimizer != 'bop' else {
        'adaptivity': args.bop_adaptivity, 'threshold': args.bop_threshold}
    optimizer = OPTIMIZERS[args.optimizer](**options_of_bop).setup(model)
    if args.clip == 'all':
        optimizer.add_hook(weight_clip.WeightClip())
    elif args.clip == 'weights':
        weight_clip.clip_weights(model)
    xnor.add_to(model)
    session.decay_weights(model, args.weight_decay)
    session.warn_of_unbounded(weight_clip.unbounded_weights(optimizer))

    # Trainer
    n_epochs = min(args.epoch, 2) if args.dry_run else args.epoch
    updater = chainer.training.StandardUpdater(
        train_iter, optimizer, converter, device)
    with session.output_folder(args, resume) as out:
        session.print_header(
            args, device, describe_net(args, net_args), n_epochs, data, out)
        trainer = chainer.training.Trainer(
            updater, stop.StopTrigger(n_epochs), out)
        trainer.extend(schedules.LearningRate(
            schedule, schedules.glorot_scales(model)
            if args.lr_scale == 'glorot' else None))
        if validation_iter is not None:
            trainer.extend(evaluator.Evaluator(
                validation_iter, model, converter, device,
                args.test_statistics), name='validation')
        return session.run(trainer, parser, args, data, resume, tester, {
            'net_class': type(predictor).__name__, 'net_args': net_args})


if __name__ == '__main__':
    cli.run(main)
