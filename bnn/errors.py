"""Errors that a user can act on: one line each, never a traceback."""


class UserError(Exception):
    """Something the user can mend: what, where, and what to do, in one line.

    The scripts print it to standard error and exit with status 1.
    """
