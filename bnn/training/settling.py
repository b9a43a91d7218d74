"""The options of a run that depend on one another."""
from bnn import errors
from bnn.training import arguments
from bnn.training import nets as nets_module
from bnn.training import options
from bnn.training import resuming


def settle(parser, args, resume, nets, recipes, learning_rates):
    """Settles the options that depend on others.

    Args:
        parser (~bnn.training.arguments.Parser): The parser.
        args (argparse.Namespace): The options, changed.
        resume (~bnn.training.resuming.Resume or None): The run to go on with.
        nets (dict): Names to :class:`~bnn.training.nets.Net`.
        recipes (dict): Names to :class:`~bnn.training.nets.Recipe`.
        learning_rates (dict): Names of optimizers to their default rates.

    Returns:
        ~bnn.training.schedules.Schedule: The learning rates.

    Raises:
        ~bnn.errors.UserError: If options contradict one another.
    """
    _check_evaluation(args)
    recipe = recipes.get(args.recipe)
    chosen = {**(recipe.options if recipe else {}), **args.given}
    if resume is not None:
        resume.apply(parser, args, chosen)
    else:
        _set_defaults(parser, args, nets, recipe, chosen)
        if args.lr is None:
            args.lr = learning_rates[args.optimizer]
    net = nets[args.net]
    if args.optimizer == 'bop' and 'lr_scale' not in chosen:
        args.lr_scale = 'none'  # the net's own is for latent weights
    has_float_layers = net.clip == 'none' or (
        'w_bits' in net.options and args.w_bits == 32)
    if args.clip is None:
        args.clip = ('none' if has_float_layers else
                     'weights' if args.optimizer == 'bop' else net.clip)
    for name in args.given:
        takers = nets_module.takers(nets, name)
        if name in nets_module.OF_ALL_BINARY and not takers:
            raise errors.UserError(
                '--%s is for nets without float layers; here there is none'
                % name.replace('_', '-'))
        if takers and args.net not in takers:
            raise errors.UserError('--%s belongs to --net %s, not %s' % (
                name.replace('_', '-'), ' or '.join(takers), args.net))
    if has_float_layers and args.clip != 'none':
        raise errors.UserError(
            '--clip %s: float layers are not clipped' % args.clip)
    if has_float_layers and args.lr_scale != 'none':
        raise errors.UserError('--lr-scale %s is for binary and k-bit '
                               'weights; here there are none' % args.lr_scale)
    _check_loss(args)
    _check_bop(args, nets)
    _check_batch_norm(args, net)
    return options.check_schedule(args, resume)


def _set_defaults(parser, args, nets, recipe, chosen):
    """Fills in what the net, the recipe and ``--initmodel`` decide."""
    if args.initmodel is not None:
        resuming.take_from_model(parser, args, ['net'])
    if recipe is not None and args.net not in recipe.nets:
        raise errors.UserError('--recipe %s is for --net %s, not %s' % (
            args.recipe, ' or '.join(recipe.nets), args.net))
    net = nets[args.net]
    arguments.set_defaults(
        args, {**net.defaults, **(recipe.options if recipe else {})})
    if args.initmodel is not None:
        resuming.take_from_model(parser, args, [*net.shaping, 'input'])
    if args.evaluate:
        resuming.take_from_model(parser, args, ['loss', 'dataset'])
    if args.lr_schedule != 'step' and 'lr_steps' not in chosen:
        args.lr_steps = None  # the net's own


def _check_evaluation(args):
    if args.evaluate:
        for name in 'adversarial', 'label_smoothing', 'precise_bn':
            if name in args.given:
                raise errors.UserError(
                    '--%s belongs to training; --evaluate tests the model as '
                    'it is' % name.replace('_', '-'))


def _check_loss(args):
    if args.label_smoothing and args.loss != 'softmax':
        raise errors.UserError(
            '--label-smoothing %g belongs to --loss softmax, not %s; '
            '--label-smoothing 0 leaves it out'
            % (args.label_smoothing, args.loss))
    if args.adversarial and args.input == 'binary':
        raise errors.UserError(
            '--adversarial %g moves pixels, which --input binary has as +-1 '
            'alone; --adversarial 0 leaves it out' % args.adversarial)


def _check_bop(args, nets):
    if args.optimizer != 'bop':
        for name in ('bop_adaptivity', 'bop_threshold'):
            if name in args.given:
                raise errors.UserError(
                    '--%s belongs to --optimizer bop, not %s'
                    % (name.replace('_', '-'), args.optimizer))
        return
    net = nets[args.net]
    if args.binarize == 'stochastic' or not (
            net.bop or 'w_bits' in net.options and args.w_bits == 1):
        raise errors.UserError(
            '--optimizer bop has no latent weights: it takes --net %s with '
            '--binarize deterministic' % ' or '.join(
                name + ' --w-bits 1' * ('w_bits' in net.options)
                for name, net in nets.items()
                if net.bop or 'w_bits' in net.options))
    for name, nothing in (('lr_scale', 'none'), ('weight_decay', 0)):
        if getattr(args, name) != nothing:
            raise errors.UserError(
                '--%s %s is for latent weights, which --optimizer bop has not'
                % (name.replace('_', '-'), getattr(args, name)))


def _check_batch_norm(args, net):
    has_none = 'batch_norm' in net.options and not args.batch_norm
    for option, is_set in (
            ('--precise-bn', args.precise_bn),
            ('--test-statistics batch', args.test_statistics == 'batch')):
        if is_set and has_none:
            raise errors.UserError(
                '%s is about batch normalization, which --no-batch-norm '
                'leaves out' % option)
    if args.precise_bn and args.test_statistics == 'batch':
        raise errors.UserError(
            '--precise-bn computes running statistics, which '
            '--test-statistics batch does not use')
