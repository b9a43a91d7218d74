"""The processes of a distributed run: how they start and end.

MPI numbers the processes that ``mpiexec`` starts from 0; the number is called
a rank.  mpi4py starts MPI when it is imported, so only :func:`communicator`
imports it.
"""
from __future__ import annotations

import atexit
import os
import shlex
import signal
import sys
import time
import traceback
import typing
import warnings

from bnn import errors

if typing.TYPE_CHECKING:
    import chainermn

COMMUNICATORS = ('naive', 'flat', 'pure_nccl')

# Variables by which launchers tell a process its number: MPICH and Intel MPI,
# Open MPI, others that speak PMIx
_RANK = ('PMI_RANK', 'OMPI_COMM_WORLD_RANK', 'PMIX_RANK')
_SIZE = ('PMI_SIZE', 'OMPI_COMM_WORLD_SIZE')
# Seconds that a failing rank waits for the others to fail for the same reason.
# One that still loads data is late by the time that takes.
_PATIENCE = 10.
_INSTALL = 'pip install -r requirements-distributed.txt'

# A communicator for the end alone, so that its messages do not mix with those
# of the training.  A process has one MPI, so this is global.
_world = None
# Whether the other ranks wait in MPI for this process to join them
_joining = False


def launched_rank() -> int | None:
    """Returns the rank that the launcher gave this process, or None."""
    return _environment(_RANK)


def mute_others() -> None:
    """Drops what the ranks other than 0 print.

    :func:`leave` still tells of a rank that fails alone.
    """
    if launched_rank():
        null = open(os.devnull, 'w')
        atexit.register(null.close)
        sys.stdout = sys.stderr = null


def watch_imports() -> None:
    """Ends all ranks if this one fails before its script has begun.

    The others would wait in MPI for one that lacks a package.
    """
    if launched_rank() is not None:
        sys.excepthook = lambda *found: leave_early(
            ''.join(traceback.format_exception(*found)))


def leave_early(status: int | str | None) -> typing.NoReturn:
    """Ends this process, and its job, before its script has begun.

    Args:
        status: As :func:`sys.exit` takes it.
    """
    global _joining
    _joining = True
    leave(status)


def check_alone() -> None:
    """Refuses runs of one process each that ``mpiexec`` started together.

    Raises:
        ~bnn.errors.UserError: If this process is one of those.
    """
    size = _environment(_SIZE) or 1
    if size > 1:
        raise errors.UserError(
            f'mpiexec started this {size} times, each to train by itself; '
            'add --distributed')


def communicator(name: str | None = None, gpu: int = -1
                 ) -> chainermn.CommunicatorBase:
    """Joins the ranks of this run.

    Args:
        name: One of :data:`COMMUNICATORS`; by default ``'naive'`` on the
            CPU, ``'pure_nccl'`` on GPUs.
        gpu: The GPU, or -1 for the CPU.

    Returns:
        ChainerMN's communicator.

    Raises:
        ~bnn.errors.UserError: If there is no MPI, no ``mpiexec`` around this
            process, or no GPU where one is needed.
    """
    global _world, _joining
    if name is None:
        name = 'naive' if gpu < 0 else 'pure_nccl'
    if gpu < 0 and name != 'naive':
        raise errors.UserError(
            f'--communicator {name} needs a GPU: add --gpu=0, or take naive')
    _joining = True
    try:
        with warnings.catch_warnings():
            # MPI warns of another MPI's mpiexec, as _check_launcher does.
            warnings.simplefilter('ignore', RuntimeWarning)
            from mpi4py import MPI
    except ImportError as e:
        raise errors.UserError(
            '--distributed needs mpi4py; run: ' + _INSTALL) from e
    except RuntimeError as e:  # mpi4py without a library
        raise errors.UserError(
            f'--distributed: {errors.one_line(e)}; load the MPI of this '
            f'machine, or run: {_INSTALL}') from e
    _joining = False
    _check_launcher(MPI)
    _world = MPI.COMM_WORLD.Dup()
    import chainermn
    try:
        return chainermn.create_communicator(name, MPI.COMM_WORLD)
    except RuntimeError as e:  # NCCL is missing
        raise errors.UserError(
            f'--communicator {name}: {errors.one_line(e)} (CuPy finds '
            'it when installed: pip install nvidia-nccl-cu13, or -cu12)'
        ) from e


def _check_launcher(MPI):
    if MPI.COMM_WORLD.size > 1:
        return
    if launched_rank() is None:
        # `python train.py` gives a bare name, which is no command.
        script = os.path.join(os.path.dirname(sys.argv[0]) or '.',
                              os.path.basename(sys.argv[0]))
        raise errors.UserError(
            '--distributed runs under mpiexec: mpiexec -n 2 '
            + shlex.join([script, *sys.argv[1:]]))
    size = _environment(_SIZE) or 1
    if size > 1:
        library = MPI.Get_library_version().split('\n')[0].strip('\0')
        raise errors.UserError(
            f'mpiexec started {size} processes, but mpi4py uses another MPI, '
            f'{library}, in which each is alone; start them with the mpiexec '
            'of that one')


def leave(status: int | str | None) -> typing.NoReturn:
    """Ends this process like :func:`sys.exit`, and its job if it failed.

    Ranks that fail together end by themselves, and rank 0 tells why.  The
    others would wait for ever for a rank that fails alone: it tells why and
    ends them all.

    Args:
        status: As :func:`sys.exit` takes it.
    """
    code = status if isinstance(status, int) else int(status is not None)
    rank = launched_rank() or 0
    if code and _fails_alone():
        # mute_others has taken sys.stderr away.
        print((f'rank {rank}: ' if rank else '')
              + (status if isinstance(status, str) else
                 f'ended with status {code}'),
              file=sys.__stderr__, flush=True)
        # At sys.exit MPI would wait for the other ranks.
        if _world is not None:
            _world.Abort(code)
        # Before MPI has begun, only a signal makes mpiexec end the job.
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(code if rank else status)


def _fails_alone():
    """Waits to see whether the other ranks fail as well."""
    if _world is None:
        if not _joining or launched_rank() is None:
            return False  # for its options, which all ranks have
        if launched_rank():
            time.sleep(_PATIENCE)  # If rank 0 fails too, it ends this one.
        return True
    deadline = time.monotonic() + _PATIENCE
    everyone = _world.Ibarrier()
    while not everyone.Test():
        if time.monotonic() > deadline:
            return True
        time.sleep(0.01)
    return False


def _environment(names):
    """Returns the integer of the first variable that there is, or None."""
    return next((int(os.environ[name]) for name in names
                 if name in os.environ), None)
