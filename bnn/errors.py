"""Errors that a user can act on: one line each, never a traceback."""
import contextlib
from collections.abc import Iterator


class UserError(Exception):
    """Something the user can mend: what, where, and what to do, in one line.

    The scripts print it to standard error and exit with status 1.
    """


def one_line(error: BaseException) -> str:
    """Returns what an exception says in one line, else its name."""
    return ' '.join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Makes one line of whatever the system says while a path is read.

    Args:
        path: The file or folder.

    Raises:
        UserError: It cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f'cannot read {path}: {error.strerror or error}') from error
