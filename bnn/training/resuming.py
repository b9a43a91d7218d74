"""What a run takes over from the files of another: its settings."""
import os
import sys

from bnn import errors
from bnn.training import models
from bnn.training import results
from bnn.training import snapshots


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

    def apply(self, parser, args, chosen):
        """Takes over the run's settings.

        Args:
            parser (~bnn.training.arguments.Parser): The parser, which knows
                which are settings.
            args (argparse.Namespace): The options, changed.
            chosen (dict): Those that were given, in a recipe or one by one.

        Raises:
            ~bnn.errors.UserError: If a chosen one is another.
        """
        for name in parser.settings:
            # A snapshot may be older than the option.
            saved = self.settings.get(name, parser.get_default(name))
            if name in chosen and chosen[name] != saved:
                if name not in args.given:
                    raise errors.UserError(
                        '--recipe %s has --%s %s, but %s was made with %s; '
                        'leave --recipe out to go on, or start a new run '
                        'without --resume' % (
                            args.recipe, name.replace('_', '-'),
                            chosen[name], self.path, saved))
                raise errors.UserError(
                    '--%s is %s, but %s was made with %s; leave it out to go '
                    'on, or start a new run without --resume'
                    % (name.replace('_', '-'), chosen[name], self.path,
                       saved))
            setattr(args, name, parser.check(name, saved, self.path))
        for name in parser.inherited:
            if name not in chosen and name in self.settings:
                setattr(args, name, parser.check(
                    name, self.settings[name], self.path))


def find(args):
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
    """Returns what a snapshot keeps of the options.

    Args:
        parser (~bnn.training.arguments.Parser): The parser.
        args (argparse.Namespace): The options.
        more: What it keeps beside them.

    Returns:
        dict: For JSON.
    """
    names = [*parser.settings, *parser.inherited]
    return {**{name: getattr(args, name) for name in names}, **more}


def take_from_model(parser, args, names):
    """Takes options that were not given from the model of ``--initmodel``.

    Args:
        parser (~bnn.training.arguments.Parser): The parser.
        args (argparse.Namespace): The options, changed.
        names (list of str): Which; attributes of the same name in the
            model's file.

    Raises:
        ~bnn.errors.UserError: If the file cannot be read, holds no such
            value, or with ``--evaluate`` another than was given.
    """
    attributes = models.read_attributes(args.initmodel)
    for name in names:
        if name not in attributes:
            continue
        if name not in args.given:
            setattr(args, name, parser.check(
                name, attributes[name], args.initmodel))
        elif (args.evaluate and name != 'dataset'
              and args.given[name] != attributes[name]):
            raise errors.UserError(
                '--%s is %s, but %s is of a net with %.80r; leave it out'
                % (name.replace('_', '-'), args.given[name], args.initmodel,
                   attributes[name]))
