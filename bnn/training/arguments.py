"""A parser that complains in one line, and knows what was given."""
import argparse
import copy
import os
import shlex
import sys

from bnn import errors


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
    inherited = (
        'epoch', 'data_dir', 'allow_modified', 'keep_snapshots')

    def __init__(self, **kwargs):
        super().__init__(
            allow_abbrev=False,
            formatter_class=_Formatter, **kwargs)
        self.settings = []

    def add_setting(self, *flags, **kwargs):
        """Adds an option that changes the mathematics of a run."""
        self.settings.append(self.add_argument(*flags, **kwargs).dest)

    def add_argument_group(self, *args, **kwargs):
        """Adds a group, which takes settings too."""
        group = super().add_argument_group(*args, **kwargs)
        group.add_setting = lambda *flags, **options: self.settings.append(
            group.add_argument(*flags, **options).dest)
        return group

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
        for name in 'communicator', 'multi_node_bn':
            if name in args.given and not args.distributed:
                self.error('--%s belongs to --distributed'
                           % name.replace('_', '-'))
        if args.given.get('cuda_graph') and args.gpu == -1:
            self.error('--cuda-graph belongs to --gpu')
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
                '%s is damaged or of another program: its --%s is %.80r'
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
            elif isinstance(value, list):
                words += [*flag, *map(str, value)]
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


def seed(text):
    """An argument type: an integer that NumPy takes for a seed."""
    value = int(text)
    if not 0 <= value < 2 ** 32:
        raise argparse.ArgumentTypeError('%d is not in [0, 2^32)' % value)
    return value


def positive_float(text):
    """An argument type: a finite float above 0."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError('%s is not above 0' % text)
    return value


def not_negative_float(text):
    """An argument type: a finite float from 0 up."""
    value = float(text)
    if not 0 <= value < float('inf'):
        raise argparse.ArgumentTypeError('%s is less than 0' % text)
    return value


def not_negative(text):
    """An argument type: an integer from 0 up."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError('%d is less than 0' % value)
    return value


def ratio(text):
    """An argument type: a float in [0, 1)."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError('%s is not in [0, 1)' % text)
    return value


# argparse shows these names
positive.__name__ = not_negative.__name__ = seed.__name__ = 'integer'
positive_float.__name__ = not_negative_float.__name__ = 'number'
ratio.__name__ = 'number'


def set_defaults(args, defaults):
    """Sets options that were not given on the command line.

    Args:
        args (argparse.Namespace): The options, changed.
        defaults (dict): Names to values, of a recipe or a kind of net.
    """
    for name, value in defaults.items():
        if name not in args.given:
            setattr(args, name, value)
