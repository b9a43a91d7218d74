"""How a script begins and ends, with complaints in one line."""
import argparse
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any
from typing import NoReturn

from bnn import errors
from bnn.training.ranks import launcher


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations and complains in one line.

    Args:
        description: What the script does, with examples.
        hint: What to do about an option that there is not.
        usage: What follows the name.  It does not list the options, which
            would stand before the examples.
    """

    def __init__(self, description: str, hint: str = '',
                 usage: str = '[OPTION ...]') -> None:
        super().__init__(
            usage=f'%(prog)s {usage}', description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        self._hint = hint

    def add_data(self, group: Any = None) -> None:
        """Adds ``--data DIR``, short for two options.

        Args:
            group: Where it stands in ``--help``, a group of this parser.
        """
        (group or self).add_argument(
            '--data', metavar='DIR', default=argparse.SUPPRESS,
            help='a folder of your own pictures, with a folder for each '
            'class; short for --dataset pictures --data-dir DIR')

    def expand_data(self, args: argparse.Namespace, missing: Any) -> None:
        """Replaces ``--data DIR`` by what it is short for.

        Args:
            args: What was parsed.
            missing: What stands for an option that was not given.
        """
        if 'data' not in args:
            return
        for name, flag in (('dataset', '--dataset'),
                           ('data_dir', '--data-dir')):
            if getattr(args, name) is not missing:
                self.error(f'--data says {flag} already; give one of them')
        args.dataset, args.data_dir = 'pictures', args.data
        del args.data

    def error(self, message: str) -> NoReturn:
        if message.startswith('unrecognized arguments') and self._hint:
            message += f'; {self._hint}'
        self.exit(2, f'{self.prog}: error: {message} (see --help)\n')


def path(name: str) -> str:
    """Returns how a shell calls a script in the folder of the running one.

    Args:
        name: The file.
    """
    # A bare name, of `python train_mnist.py`, is no command.
    return os.path.join(os.path.dirname(sys.argv[0]) or '.', name)


def say_next(**commands: str) -> None:
    """Prints what can come next, on standard error.

    Args:
        commands: A command, or what to do, by its purpose in a word.
    """
    for purpose, command in commands.items():
        print(f'{f"to {purpose}:":13}{command}', file=sys.stderr)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Runs a script's ``main`` and ends the program with its exit status.

    What the user can mend becomes one line on standard error: status 1, or
    130 after Ctrl-C.  Of several ranks the first one tells it.

    Args:
        main: Takes nothing, returns an exit status or ``None``.
    """
    name = os.path.basename(sys.argv[0])
    launcher.mute_others()
    try:
        status = main()
        sys.stdout.flush()
    except errors.UserError as e:
        status = f'{name}: error: {e}'
    except BrokenPipeError:
        # Whoever read the log has gone; nothing is left to be told to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = f'{name}: error: standard output was closed'
    except OSError as e:
        status = (f'{name}: error: {e.filename or "input/output"}: '
                  f'{e.strerror or e}')
    except MemoryError:
        status = f'{name}: error: out of memory' + (
            '; try a smaller batch or net' if name.startswith('train') else '')
    except KeyboardInterrupt:
        print(f'{name}: interrupted', file=sys.stderr)
        status = 130
    except SystemExit as e:  # of argparse
        status = e.code
    except Exception:
        if launcher.launched_rank() is None:
            raise
        status = traceback.format_exc()
    launcher.leave(status)
