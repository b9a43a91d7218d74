"""Output folders: numbered, locked, never overwritten."""
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import filelock

from bnn import errors
from bnn.training.command_line import config as config_module
from bnn.training.files import snapshots
from bnn.training.ranks import alone

ROOT = 'result'
LATEST = os.path.join(ROOT, 'latest')
# What a run writes, and what one that was killed before its first snapshot
# leaves behind
_FILES = ('mlp.model', 'mlp.state', 'signs.model')
_EARLY_FILES = ('log', 'graph.dot', 'loss.png', 'accuracy.png', 'figures.png')


@contextlib.contextmanager
def open_folder(config: config_module.Config, snapshot: Any = None,
                ranks: alone.Ranks = alone.ALONE) -> Iterator[str]:
    """Opens the folder for the results, locked against a second run.

    Args:
        config: Where it is to be.
        snapshot (~bnn.training.files.resume.Snapshot or None): The run to go
            on with.
        ranks: The processes of the run; the first one opens it.

    Yields:
        The folder.

    Raises:
        ~bnn.errors.UserError: If it holds the results of another run, is
            locked, or cannot be made.
    """
    is_temporary = config.dry_run and config.out is None and snapshot is None
    with contextlib.ExitStack() as stack:
        def enter():
            out = _choose(config, snapshot, is_temporary)
            stack.callback(lock(out).release)
            if is_temporary:
                stack.callback(shutil.rmtree, out)
            return out

        yield ranks.first(enter)
        ranks.wait()


def _choose(config, snapshot, is_temporary):
    if snapshot is not None and (config.out is None or os.path.realpath(
            config.out) == os.path.realpath(snapshot.out)):
        if config.resume != 'auto' and not os.path.samefile(
                snapshot.path, snapshots.find(snapshot.out)[0]):
            raise errors.UserError(
                f'{snapshot.path} is not the newest snapshot in its folder; '
                'name a new --out to branch off from it')
        return snapshot.out
    if is_temporary:
        return tempfile.mkdtemp(prefix='dry-run-')
    return new(config.out, config.resume == 'auto')


def new(out: str | None = None, resuming: bool = False) -> str:
    """Makes the folder of a new run.

    Args:
        out: The folder; by default the next free number under
            ``result/``, to which ``result/latest`` then points.
        resuming: Whether the newest whole snapshot in ``out`` was
            wanted and there is none.  What a run writes that was killed
            before its first snapshot is then no obstacle.

    Returns:
        The folder, which exists and holds no results.

    Raises:
        ~bnn.errors.UserError: If it holds the results of another run, or
            cannot be made.
    """
    if out is not None:
        names = _FILES if resuming else _FILES + _EARLY_FILES
        if snapshots.find(out) or any(
                os.path.lexists(os.path.join(out, name)) for name in names):
            raise errors.UserError(
                f'{out} holds the results of another run' + (
                    ', but no whole snapshot to go on from; choose another '
                    '--out' if resuming else '; add --resume auto to go on '
                    'with it, or choose another --out'))
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
    link = f'{LATEST}.{os.getpid()}.tmp'
    with contextlib.suppress(OSError):  # a file system without links
        os.symlink(str(number), link)
        os.replace(link, LATEST)
    return out


def latest() -> str | None:
    """Returns the folder of the newest numbered run, or None."""
    return os.path.relpath(os.path.realpath(LATEST)) if os.path.isdir(
        LATEST) else None


def lock(out: str) -> filelock.BaseFileLock:
    """Keeps a second run out of a folder until this process ends.

    Args:
        out: The folder.

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
            f'another run is at work in {out}; wait for it or choose another '
            '--out') from e
    except OSError as e:
        raise _cannot_write(out, e) from e
    return lock


def _make(folder):
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise _cannot_write(folder, e) from e


def _cannot_write(folder, error):
    return errors.UserError(
        f'cannot write to {folder}: {error.strerror or error}; choose '
        'another --out')
