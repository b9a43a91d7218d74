"""Options that the training scripts share, and which of them were given."""
import argparse
import copy
import os
import shlex
import sys

from bnn import errors
from bnn.training import models
from bnn.training import results
from bnn.training import snapshots


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):

    """Shows defaults, but for those that the help tells itself."""

    def _get_help_string(self, action):
        if action.default is None or '(default:' in action.help:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):

    """A parser that complains in one line and knows a run's settings.

    Attributes:
        settings (list of str): Options that change the mathematics.  A
            resumed run takes them from its snapshot and refuses others.
    """

    # A run takes these from its snapshot too, but they may change.
    _INHERITED = ('epoch', 'data_dir', 'allow_modified')

    def __init__(self, **kwargs):
        super().__init__(
            allow_abbrev=False,
            formatter_class=_Formatter, **kwargs)
        self.settings = []

    def add_setting(self, *flags, **kwargs):
        """Adds an option that changes the mathematics of a run."""
        self.settings.append(self.add_argument(*flags, **kwargs).dest)

    def error(self, message):
        self.exit(2, '%s: error: %s (see --help)\n' % (self.prog, message))

    def parse(self, argv=None):
        """Parses the command line.

        Args:
            argv (list of str or None): The arguments; the program's own by
                default.

        Returns:
            argparse.Namespace: The options, and ``given``, a dict of those
            that were on the command line.
        """
        only_given = copy.deepcopy(self)
        only_given._defaults.clear()
        for action in only_given._actions:
            action.default = argparse.SUPPRESS
        args = self.parse_args(argv)
        args.given = vars(only_given.parse_args(argv))
        if args.data_dir is not None:
            args.data_dir = os.path.abspath(args.data_dir)
        if args.evaluate and args.initmodel is None:
            self.error('--evaluate tests a trained model; name it: '
                       '--initmodel FILE')
        if args.resume is not None and args.initmodel is not None:
            self.error('--resume goes on with a run, --initmodel starts one '
                       'from a model: give one of them')
        return args

    def check(self, name, value, path):
        """Checks an option's value that a file holds.

        Args:
            name (str): The option.
            value: What JSON gave.
            path (str): The file, for the message.

        Returns:
            The value.

        Raises:
            ~bnn.errors.UserError: If the command line could not have it.
        """
        action, = (a for a in self._actions if a.dest == name)
        try:
            if action.nargs == 0:
                valid = value is None or isinstance(value, bool)
            elif value is None:
                valid = action.default is None
            else:
                values = value if action.nargs == '+' else [value]
                for one in values:
                    self._check_value(
                        action, self._get_value(action, str(one)))
                valid = all(self._get_value(action, str(one)) == one
                            for one in values)
        except (argparse.ArgumentError, TypeError):
            valid = False
        if not valid:
            raise errors.UserError(
                '%s is damaged or of another program: its --%s is %r'
                % (path, name.replace('_', '-'), value))
        return value

    def command(self, args, **changes):
        """Returns the command line that makes a run, changed somewhat.

        Args:
            args (argparse.Namespace): What :meth:`parse` returned.
            changes: Options to set, or with ``None`` to leave out.

        Returns:
            str: To be pasted into a shell.
        """
        # A bare name, of `python train_mnist.py`, is no command.
        words = [os.path.join(os.path.dirname(sys.argv[0]) or '.',
                              os.path.basename(sys.argv[0]))]
        options = {**args.given, **changes}
        for action in self._actions:
            value = options.get(action.dest)
            flag = action.option_strings[-1:]
            if isinstance(action, argparse.BooleanOptionalAction):
                if value is not None:
                    words.append(action.option_strings[0 if value else -1])
            elif value is True:
                words += flag
            elif value is not None and value is not False:
                # Joined, since a value may begin with a dash.
                words.append('%s=%s' % (action.option_strings[0], value))
        return shlex.join(words)


def positive(text):
    """An argument type: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError('%d is less than 1' % value)
    return value


def _seed(text):
    value = int(text)
    if not 0 <= value < 2 ** 32:
        raise argparse.ArgumentTypeError('%d is not in [0, 2^32)' % value)
    return value


positive.__name__ = _seed.__name__ = 'integer'  # argparse shows it


def add_training(parser, datasets, epoch, batchsize):
    """Adds the options that every training script has.

    Args:
        parser (Parser): The parser.
        datasets (tuple of str): Names of the data sets to choose from, the
            default first.
        epoch (int): Default number of epochs.
        batchsize (int): Default size of a batch.
    """
    parser.add_argument(
        '--gpu', '-g', type=int, default=-1, metavar='ID',
        help='GPU to train on, 0 for the first; -1 for the CPU')
    parser.add_argument(
        '--initmodel', '-m', metavar='FILE',
        help='start from this model (mlp.model of another run)')
    parser.add_argument(
        '--resume', '-r', metavar='SNAPSHOT',
        help='go on from a snapshot; auto: from the newest whole one in '
        '--out, by default of the latest run')
    parser.add_argument(
        '--epoch', '-e', type=positive, default=epoch, metavar='N',
        help='number of epochs')
    parser.add_setting(
        '--batchsize', '-b', type=positive, default=batchsize, metavar='N',
        help='images in a batch')
    parser.add_argument(
        '--out', '-o', metavar='DIR',
        help='folder for the results (default: the next number under '
        'result/)')
    parser.add_setting(
        '--seed', type=_seed, default=0, metavar='N',
        help='seed of the random numbers')
    parser.add_setting(
        '--dataset', choices=datasets,
        help='data to train on (default: %s)' % datasets[0])
    parser.add_argument(
        '--data-dir', metavar='DIR',
        help='folder of the data; the only place looked in')
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
        '--snapshot-every', type=positive, metavar='N',
        help='a snapshot also at each N iterations, not only each epoch')
    parser.add_argument(
        '--keep-snapshots', type=positive, default=2, metavar='N',
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


class Resume(object):

    """A run to go on with.

    Attributes:
        path (str): The snapshot.
        out (str): Its folder.
        arrays (dict): What it holds.
        settings (dict): The settings of the run.
    """

    def __init__(self, path, arrays, settings):
        self.path = path
        self.out = os.path.dirname(path) or '.'
        self.arrays = arrays
        self.settings = settings

    def apply(self, parser, args):
        """Takes over the run's settings.

        Args:
            parser (Parser): The parser, which knows which are settings.
            args (argparse.Namespace): The options; those that were not given
                are set.

        Raises:
            ~bnn.errors.UserError: If a given one is another.
        """
        for name in parser.settings:
            if name not in self.settings:
                raise errors.UserError(
                    '%s does not say its --%s: it is of another program'
                    % (self.path, name.replace('_', '-')))
            saved = self.settings[name]
            if name in args.given and args.given[name] != saved:
                raise errors.UserError(
                    '--%s is %s, but %s was made with %s; leave it out to go '
                    'on, or start a new run without --resume'
                    % (name.replace('_', '-'), args.given[name], self.path,
                       saved))
            setattr(args, name, parser.check(name, saved, self.path))
        for name in parser._INHERITED:
            if name not in args.given and name in self.settings:
                setattr(args, name, parser.check(
                    name, self.settings[name], self.path))


def find_resume(args):
    """Finds the snapshot that ``--resume`` means.

    Args:
        args (argparse.Namespace): The options.

    Returns:
        Resume or None: ``None`` to start anew, of which a line on standard
        error tells.

    Raises:
        ~bnn.errors.UserError: If a named snapshot cannot be read.
    """
    if args.resume is None:
        return None
    if args.resume != 'auto':
        return Resume(args.resume, *snapshots.read(args.resume))
    folder = results.latest() if args.out is None else args.out
    for path in snapshots.find(folder) if folder else ():
        try:
            return Resume(path, *snapshots.read(path))
        except errors.UserError as e:
            print('warning: %s; trying the one before' % e, file=sys.stderr)
    print('no snapshot in %s: starting anew' % (folder or results.ROOT),
          file=sys.stderr)
    return None


def settings(parser, args, **more):
    """Returns what a snapshot keeps of the options, a dict for JSON."""
    names = [*parser.settings, *parser._INHERITED]
    return {**{name: getattr(args, name) for name in names}, **more}


def take_from_model(parser, args, names):
    """Takes options that were not given from the model of ``--initmodel``.

    Args:
        parser (Parser): The parser.
        args (argparse.Namespace): The options, changed.
        names (list of str): Which; attributes of the same name in the
            model's file.
    """
    attributes = models.read_attributes(args.initmodel)
    for name in names:
        if name not in args.given and name in attributes:
            setattr(args, name, parser.check(
                name, attributes[name], args.initmodel))
