"""The optimizer that a training script's options ask for."""
import sys

import chainer

import weight_clip
from bnn.chainer_ops import adam
from bnn.chainer_ops import momentum_sgd
from bnn.chainer_ops import sgd
from bnn.training import arguments
from bnn.training import distributed
from zoo.latent_weights import bop
from zoo.xnor_net import hooks

OPTIMIZERS = {'adam': adam.Adam, 'sgd': sgd.SGD,
              'momentum': momentum_sgd.MomentumSGD, 'bop': bop.Bop}
LEARNING_RATES = {'adam': 1e-3, 'sgd': 1e-2, 'momentum': 1e-2, 'bop': 1e-3}


def add_options(parser):
    """Adds the options of single optimizers to a parser."""
    parser.add_setting(
        '--bop-adaptivity', type=arguments.positive_float, default=1e-4,
        metavar='GAMMA', help='how fast the average gradient follows (bop)')
    parser.add_setting(
        '--bop-threshold', type=arguments.not_negative_float, default=1e-8,
        metavar='TAU', help='how large it has to be for a flip (bop)')


def make(run, model, **xnor_options):
    """Makes the optimizer, with the hooks that the net needs.

    Args:
        run (~bnn.training.session.Session): Its options and ranks.
        model (~chainer.Link): The model.
        xnor_options: See :func:`hooks.add_to`.

    Returns:
        ~chainer.GradientMethod: Set up with the model.  Of latent weights
        that nothing bounds a warning tells.
    """
    args = run.args
    options = {} if args.optimizer != 'bop' else {
        'adaptivity': args.bop_adaptivity, 'threshold': args.bop_threshold}
    optimizer = OPTIMIZERS[args.optimizer](**options).setup(model)
    if args.clip == 'all':
        optimizer.add_hook(weight_clip.WeightClip())
    elif args.clip == 'weights':
        weight_clip.clip_weights(model)
    hooks.add_to(
        model, scale_gradient=args.optimizer == 'adam', **xnor_options)
    decay_weights(model, args.weight_decay)
    names = weight_clip.unbounded_weights(optimizer)
    if names:
        print('warning: nothing bounds the latent weights %s: their '
              'levels freeze as they grow; add a WeightClip (--clip weights)'
              % ', '.join(names), file=sys.stderr)
    if run.comm is not None:
        distributed.broadcast(model, run.comm)
        optimizer = distributed.optimizer(optimizer, run.comm)
    return optimizer


def decay_weights(model, rate):
    """Adds weight decay to weights, not to biases and batch normalization.

    Args:
        model (~chainer.Link): A model that an optimizer was set up with.
        rate (float): The rate; 0 adds nothing.
    """
    if rate:
        for name, param in model.namedparams():
            if name.endswith('/W'):
                param.update_rule.add_hook(
                    chainer.optimizer_hooks.WeightDecay(rate))
