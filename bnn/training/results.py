"""Output folders: numbered, locked, never overwritten."""
import contextlib
import os

import filelock

from bnn import errors
from bnn.training import snapshots

ROOT = 'result'
LATEST = os.path.join(ROOT, 'latest')
_FILES = ('log', 'mlp.model', 'mlp.state')


def new(out=None, resuming=False):
    """Makes the folder of a new run.

    Args:
        out (str or None): The folder; by default the next free number under
            ``result/``, to which ``result/latest`` then points.
        resuming (bool): Whether the newest whole snapshot in ``out`` was
            wanted and there is none.  A log alone, of a run that was killed
            before its first snapshot, is then no obstacle.

    Returns:
        str: The folder, which exists and holds no results.

    Raises:
        ~bnn.errors.UserError: If it holds the results of another run, or
            cannot be made.
    """
    if out is not None:
        names = _FILES[1:] if resuming else _FILES
        if snapshots.find(out) or any(
                os.path.lexists(os.path.join(out, name)) for name in names):
            raise errors.UserError(
                '%s holds the results of another run%s' % (
                    out, ', but no whole snapshot to go on from; choose '
                    'another --out' if resuming else '; add --resume auto '
                    'to go on with it, or choose another --out'))
        _make(out)
        return out
    _make(ROOT)
    number = 1 + max([int(name) for name in os.listdir(ROOT)
                      if name.isdigit()], default=0)
    while True:
        out = os.path.join(ROOT, str(number))
        try:
            os.mkdir(out)
            break
        except FileExistsError:  # another run was quicker
            number += 1
        except OSError as e:
            raise _cannot_write(out, e) from e
    link = LATEST + '.%d.tmp' % os.getpid()
    with contextlib.suppress(OSError):  # a file system without links
        os.symlink(str(number), link)
        os.replace(link, LATEST)
    return out


def latest():
    """Returns the folder of the newest numbered run, or None."""
    return os.path.relpath(os.path.realpath(LATEST)) if os.path.isdir(
        LATEST) else None


def lock(out):
    """Keeps a second run out of a folder until this process ends.

    Args:
        out (str): The folder.

    Returns:
        The lock; keep it.

    Raises:
        ~bnn.errors.UserError: If another run has it, or nothing can be
            written there.
    """
    lock = filelock.FileLock(os.path.join(out, '.lock'))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as e:
        raise errors.UserError(
            'another run is at work in %s; wait for it or choose another '
            '--out' % out) from e
    except OSError as e:
        raise _cannot_write(out, e) from e
    return lock


def _make(folder):
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise _cannot_write(folder, e) from e


def _cannot_write(folder, error):
    return errors.UserError('cannot write to %s: %s; choose another --out'
                            % (folder, error.strerror or error))
