"""The optimizer that a configuration asks for, with the nets' hooks."""
import sys

import chainer

import weight_clip
from bnn.chainer_ops import adam
from bnn.training.command_line import config as config_module
from zoo.latent_weights import bop
from zoo.xnor_net import hooks

OPTIMIZERS = {'adam': adam.Adam, 'sgd': chainer.optimizers.SGD,
              'momentum': chainer.optimizers.MomentumSGD, 'bop': bop.Bop}


def make(config: config_module.Config, model: chainer.Link
         ) -> chainer.GradientMethod:
    """Makes the optimizer of a run.

    Args:
        config: The configuration.
        model: The model, initialized.

    Returns:
        Set up with the model, with hooks for the clip, XNOR-Net's weights
        and the weight decay.  A warning names latent weights that nothing
        bounds.
    """
    options = {} if config.optimizer != 'bop' else {
        'adaptivity': config.bop_adaptivity,
        'threshold': config.bop_threshold}
    optimizer = OPTIMIZERS[config.optimizer](**options).setup(model)
    latent = latent_weights(model)
    if config.clip == 'all':
        optimizer.add_hook(weight_clip.WeightClip())
    elif config.clip == 'weights':
        for param in latent.values():
            param.update_rule.add_hook(weight_clip.WeightClip())
    elif latent and config.optimizer != 'bop':
        print('warning: nothing bounds the latent weights '
              f'{", ".join(latent)}: their levels freeze as they grow; add a '
              'WeightClip (--clip weights)', file=sys.stderr)
    hooks.add_to(
        model, min_gamma=config.min_gamma,
        extra=config.gradient_scale,
        scale_gradient=config.optimizer == 'adam')
    if config.weight_decay:
        # Not of biases and batch normalization
        for name, param in model.namedparams():
            if name.endswith('/W'):
                param.update_rule.add_hook(
                    chainer.optimizer_hooks.WeightDecay(config.weight_decay))
    return optimizer


def latent_weights(model: chainer.Link) -> dict[str, chainer.Parameter]:
    """Lists the latent weights that need a clip.

    Binary weights and those of the linear quantizer need one: their signs,
    or levels, freeze as the weights grow.  DoReFa's tanh bounds its own, and
    XNOR-Net's hooks clamp the weights that are scaled.

    Args:
        model: The model.

    Returns:
        Names of parameters to them.
    """
    clamped = {id(link.W) for link in hooks.prepared_links(model)}
    weights = {
        id(link.W) for link in model.links()
        if getattr(link, 'w_bits', 32) == 1
        or (getattr(link, 'w_bits', 32) < 32
            and link.quantizer == 'linear')}
    return {name: param for name, param in sorted(model.namedparams())
            if id(param) in weights - clamped}
