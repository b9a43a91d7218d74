"""The processes of a distributed run: how they start and end.

MPI numbers the processes that ``mpiexec`` starts from 0; the number is called
a rank.  mpi4py starts MPI when it is imported, so that is done by
:func:`communicator` and nowhere else.
"""
import atexit
import os
import shlex
import signal
import sys
import time
import traceback
import warnings

from bnn import errors

COMMUNICATORS = ('naive', 'flat', 'pure_nccl')

# How launchers tell a process its number: MPICH and Intel MPI, Open MPI, and
# others that speak PMIx.
_RANK = ('PMI_RANK', 'OMPI_COMM_WORLD_RANK', 'PMIX_RANK')
_SIZE = ('PMI_SIZE', 'OMPI_COMM_WORLD_SIZE')
# Seconds that a failing rank gives the others to fail of the same reason: one
# that loads data may be behind by as long as that takes.
_PATIENCE = 10.
_INSTALL = 'pip install -r requirements-distributed.txt'

# A communicator of its own for the end, whose messages cannot be taken for
# those of the training.  MPI has one world in a process, so this is global.
_world = None
# Whether this process is about to join the ranks, which wait for it
_joining = False


def launched_rank():
    """Returns the rank that the launcher gave this process, or None."""
    return _environment(_RANK)


def mute_others():
    """Lets only rank 0 print: the others' output goes nowhere.

    :func:`leave` still tells of a rank that fails alone.
    """
    if launched_rank():
        null = open(os.devnull, 'w')
        atexit.register(null.close)
        sys.stdout = sys.stderr = null


def watch_imports():
    """Ends all ranks where this one fails before its script has begun.

    The others would wait in MPI for one that lacks a package.
    """
    if launched_rank() is not None:
        sys.excepthook = lambda *found: leave_early(
            ''.join(traceback.format_exception(*found)))


def leave_early(status):
    """Ends this process, and the job, before its script has begun.

    Args:
        status (int, str or None): As of :func:`sys.exit`.
    """
    global _joining
    _joining = True  # as the others are about to, or do already
    leave(status)


def check_alone():
    """Refuses a run of one process that ``mpiexec`` started many times.

    Raises:
        ~bnn.errors.UserError: If it did.
    """
    size = _environment(_SIZE) or 1
    if size > 1:
        raise errors.UserError(
            f'mpiexec started this {size} times, each to train by itself; '
            'add --distributed')


def communicator(name=None, gpu=-1):
    """Joins the ranks of this run.

    Args:
        name (str or None): One of :data:`COMMUNICATORS`; by default
            ``'naive'`` on the CPU, ``'pure_nccl'`` on GPUs.
        gpu (int): The GPU, or -1 for the CPU.

    Returns:
        chainermn.CommunicatorBase: ChainerMN's communicator.

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
            # Of another mpiexec: _check_launcher says it in a line.
            warnings.simplefilter('ignore', RuntimeWarning)
            from mpi4py import MPI
    except ImportError as e:
        raise errors.UserError(
            '--distributed needs mpi4py; run: ' + _INSTALL) from e
    except RuntimeError as e:  # mpi4py without a library
        raise errors.UserError(
            f'--distributed: {" ".join(str(e).split())}; load the MPI of this '
            f'machine, or run: {_INSTALL}') from e
    _joining = False
    _check_launcher(MPI)
    _world = MPI.COMM_WORLD.Dup()
    import chainermn
    try:
        return chainermn.create_communicator(name, MPI.COMM_WORLD)
    except RuntimeError as e:  # NCCL is missing
        raise errors.UserError(
            f'--communicator {name}: {" ".join(str(e).split())} (CuPy finds '
            'it when installed: pip install nvidia-nccl-cu13, or -cu12)'
        ) from e


def _check_launcher(MPI):
    if MPI.COMM_WORLD.size > 1:
        return
    if launched_rank() is None:
        # A bare name, of `python train_mnist.py`, is no command.
        script = os.path.join(os.path.dirname(sys.argv[0]) or '.',
                              os.path.basename(sys.argv[0]))
        raise errors.UserError(
            '--distributed runs under mpiexec: mpiexec -n 2 '
            + shlex.join([script, *sys.argv[1:]]))
    size = _environment(_SIZE) or 1
    if size > 1:
        library = MPI.Get_library_version().split('\n')[0].strip('\0')
        raise errors.UserError(
            f'mpiexec started {size} processes, but is not of the MPI of '
            f'mpi4py, {library}: each finds itself alone; take the mpiexec of '
            'that one')


def leave(status):
    """Ends this process like :func:`sys.exit`, and its job if it failed.

    Ranks that fail together leave one by one, and rank 0 has told why.  One
    that fails alone would let the others wait for it for ever: it says so and
    ends them all.

    Args:
        status (int, str or None): As of :func:`sys.exit`.
    """
    code = status if isinstance(status, int) else int(status is not None)
    rank = launched_rank() or 0
    if code and _fails_alone():
        # Lost in the null device otherwise, see mute_others
        print((f'rank {rank}: ' if rank else '')
              + (status if isinstance(status, str) else
                 f'ended with status {code}'),
              file=sys.__stderr__, flush=True)
        # Not sys.exit, at which MPI waits for the other ranks
        if _world is not None:
            _world.Abort(code)
        # mpiexec ends the job for a signal, not for a status before MPI.
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(code if rank else status)


def _fails_alone():
    """Waits whether the other ranks fail as well."""
    if _world is None:
        if _joining and launched_rank():
            time.sleep(_PATIENCE)  # If rank 0 fails too, this ends here.
        # Else it is of the options, which all ranks have.
        return _joining and launched_rank() is not None
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
