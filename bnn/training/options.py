"""The options that the training scripts share."""
import argparse

from bnn import errors
from bnn.training import arguments
from bnn.training import inputs
from bnn.training import losses
from bnn.training import ranks
from bnn.training import schedules


def add_training(parser, datasets, augmentations, epoch, batchsize):
    """Adds the options that every training script has.

    Args:
        parser (~bnn.training.arguments.Parser): The parser.
        datasets (tuple of str): Names of the data sets to choose from, the
            default first.
        augmentations (tuple of str): Random variants of the training images
            to choose from, keys of
            :data:`~bnn.training.inputs.AUGMENTATIONS`, the default first.
        epoch (int): Default number of epochs.
        batchsize (int): Default size of a batch.
    """
    parser.add_argument(
        '--gpu', '-g', type=int, default=-1, metavar='ID',
        help='GPU to train on, 0 for the first; -1 for the CPU')
    parser.add_argument(
        '--cuda-graph', action=argparse.BooleanOptionalAction, default=True,
        help='on a GPU, replay each iteration as a CUDA graph')
    parser.add_argument(
        '--distributed', action='store_true',
        help='be one of the ranks that mpiexec started, docs/distributed.md')
    parser.add_argument(
        '--communicator', choices=ranks.COMMUNICATORS,
        help="how ranks exchange gradients, ChainerMN's name (default: naive "
        'on the CPU, pure_nccl on GPUs)')
    parser.add_setting(
        '--multi-node-bn', action=argparse.BooleanOptionalAction,
        default=False, help='batch normalization over the batch of all ranks')
    parser.add_argument(
        '--initmodel', '--pretrained', '-m', metavar='FILE',
        help='start from this model (mlp.model of another run)')
    parser.add_argument(
        '--resume', '-r', metavar='SNAPSHOT',
        help='go on from a snapshot; auto: from the newest whole one in '
        '--out, by default of the latest run')
    parser.add_argument(
        '--epoch', '-e', type=arguments.positive, default=epoch, metavar='N',
        help='number of epochs')
    parser.add_setting(
        '--batchsize', '-b', type=arguments.positive, default=batchsize,
        metavar='N', help='images in a batch, of each rank')
    parser.add_argument(
        '--out', '-o', metavar='DIR',
        help='folder for the results (default: the next number under '
        'result/)')
    parser.add_setting(
        '--seed', type=arguments.seed, default=0, metavar='N',
        help='seed of the random numbers')
    parser.add_setting(
        '--dataset', choices=datasets,
        help='data to train on (default: %s)' % datasets[0])
    parser.add_argument(
        '--data-dir', metavar='DIR',
        help='folder of the data; the only place looked in')
    parser.add_setting(
        '--augment', choices=augmentations, default=augmentations[0],
        help='random variants of the training images: '
        + '; '.join('%s: %s' % (name, inputs.AUGMENTATIONS[name].words)
                    for name in augmentations))
    parser.add_argument(
        '--allow-modified', action='store_true',
        help='accept well-formed data files with another content')
    parser.add_argument(
        '--report', choices=('seed', 'table', 'quiet'), default='seed',
        help="the log lines: binary_net's, a table, or none")
    parser.add_argument(
        '--progress', action=argparse.BooleanOptionalAction,
        help='a progress bar (default: on a terminal)')
    parser.add_argument(
        '--plot', action=argparse.BooleanOptionalAction, default=True,
        help='draw loss.png and accuracy.png')
    parser.add_argument(
        '--snapshot-every', type=arguments.positive, metavar='N',
        help='a snapshot also at each N iterations, not only each epoch')
    parser.add_argument(
        '--keep-snapshots', type=arguments.positive, default=2, metavar='N',
        help='how many of the newest snapshots to keep')
    parser.add_setting(
        '--test-statistics', choices=('running', 'batch'), default='running',
        help='what batch normalization uses in tests: its running '
        'statistics, or as binary_net those of each test batch')
    parser.add_argument(
        '--evaluate', action='store_true',
        help='test the model of --initmodel and stop')
    parser.add_setting(
        '--dry-run', action='store_true',
        help='a few iterations of everything, to see that it works; without '
        '--out nothing is kept')


def add_learning(parser, optimizers, recipes):
    """Adds the options of how a net learns.

    Args:
        parser (~bnn.training.arguments.Parser): The parser.
        optimizers (dict): Names of optimizers, the default first, to their
            classes.
        recipes (dict): Names of recipes to
            :class:`~bnn.training.nets.Recipe`.
    """
    parser.add_setting(
        '--optimizer', choices=list(optimizers), default=next(
            iter(optimizers)), help='what updates the weights%s' % (
            '; bop: binary weights without latent ones, Adam for the rest'
            if 'bop' in optimizers else ''))
    parser.add_setting(
        '--lr', type=arguments.positive_float, metavar='RATE',
        help='learning rate (default: 0.001 for adam and bop, 0.01 for sgd '
        'and momentum)')
    parser.add_setting(
        '--lr-schedule', choices=schedules.SCHEDULES, default='constant',
        help='how the learning rate changes over the run')
    parser.add_setting(
        '--lr-final', type=arguments.not_negative_float, metavar='RATE',
        help='rate at the end of an exponential or cosine schedule '
        '(default: a thousandth of the first, and 0)')
    parser.add_setting(
        '--lr-steps', type=arguments.positive, nargs='+', metavar='E',
        help='epochs after which a step schedule lowers the rate')
    parser.add_setting(
        '--lr-decay', type=arguments.positive_float, default=0.1,
        metavar='FACTOR',
        help='what a step schedule multiplies the rate with')
    parser.add_setting(
        '--warmup', type=arguments.not_negative_float, default=0., metavar='E',
        help='epochs over which the rate rises')
    parser.add_setting(
        '--lr-scale', choices=('none', 'glorot'), default='none',
        help="factors on the rates of binary and k-bit weights: BinaryNet's "
        'code has the reciprocal of the initial range')
    parser.add_setting(
        '--loss', choices=list(losses.LOSSES), default='softmax',
        help='softmax cross entropy, or the squared hinge of one class '
        'against the rest')
    parser.add_setting(
        '--label-smoothing', type=arguments.ratio, default=0.,
        metavar='SHARE',
        help='share of each training target that softmax cross entropy '
        'spreads over all classes')
    parser.add_setting(
        '--adversarial', type=arguments.not_negative_float, default=0.,
        metavar='EPS',
        help='half of the loss is of images whose pixels are moved by EPS '
        'in the direction that raises it; pixels as --input has them')
    parser.add_setting(
        '--input', choices=list(inputs.SCALES), default='unit',
        help='pixels in [0, 1], in [-1, 1], of mean 0 and deviation 1 in '
        'each channel, or as -1 and +1')
    parser.add_setting(
        '--clip', choices=('all', 'weights', 'none'),
        help='what is kept in [-1, 1]: all parameters, or the latent weights '
        'that need it, of 1 bit or of the linear quantizer (default: all for '
        '--net binary with a latent-weight optimizer, as binary_net did, '
        'else weights)')
    parser.add_setting(
        '--weight-decay', type=arguments.not_negative_float, default=0.,
        metavar='RATE',
        help='what is added to the gradients of weights, times them; not of '
        'biases and batch normalization')
    parser.add_setting(
        '--validation', type=arguments.not_negative, default=0, metavar='N',
        help='split the last N training images off; the best epoch on them '
        'is kept, and tested once at the end')
    parser.add_setting(
        '--precise-bn', action=argparse.BooleanOptionalAction, default=False,
        help="at the end batch normalization's statistics are computed anew "
        'over the training images, without dropout')
    if recipes:
        parser.add_argument(
            '--recipe', choices=list(recipes), help='a set of options: '
            + '; '.join('%s, %s' % (name, recipe.words)
                        for name, recipe in recipes.items()))
    else:
        parser.set_defaults(recipe=None)
    parser.add_argument(
        '--tensorboard', action='store_true',
        help='write scalars for TensorBoard into the results')
    parser.add_argument(
        '--summary', action='store_true',
        help='print the net layer by layer and stop')


def check_schedule(args, resume=None):
    """Builds the learning rate schedule that the options describe.

    Args:
        args (argparse.Namespace): The options.
        resume (~bnn.training.resuming.Resume or None): The run to go on with.

    Returns:
        ~bnn.training.schedules.Schedule: The schedule.

    Raises:
        ~bnn.errors.UserError: If the options contradict one another, or a
            resumed run of another length would have had other rates.
    """
    for name, wanted in (('lr_final', ('exponential', 'cosine')),
                         ('lr_steps', ('step',)), ('lr_decay', ('step',))):
        if name in args.given and args.lr_schedule not in wanted:
            raise errors.UserError(
                '--%s belongs to --lr-schedule %s, not %s'
                % (name.replace('_', '-'), ' or '.join(wanted),
                   args.lr_schedule))
    if args.lr_final is not None and args.lr_final > args.lr:
        raise errors.UserError(
            '--lr-final %g is above --lr %g; --warmup raises the rate'
            % (args.lr_final, args.lr))
    name, steps = args.lr_schedule, args.lr_steps
    if steps and 'lr_steps' not in args.given:
        # The net's own, or a snapshot's: a shorter run has fewer.
        steps = [step for step in steps if step < args.epoch]
        name = name if steps else 'constant'
    schedule = schedules.Schedule(
        name, args.lr, args.epoch, args.lr_final, steps, args.lr_decay,
        args.warmup)
    if (resume is not None and schedule.depends_on_length
            and resume.settings.get('epoch') != args.epoch):
        raise errors.UserError(
            '--epoch is %d, but %s was made with %s, and its --lr-schedule '
            '%s depends on it; leave it out to go on'
            % (args.epoch, resume.path, resume.settings.get('epoch'),
               args.lr_schedule))
    return schedule
