"""What the ranks of a distributed run do together.

Each function has to be called by all of them.
"""
import contextlib

import numpy

from bnn import errors


@contextlib.contextmanager
def one_goes_first(comm):
    """Lets one rank on each machine do something before the others do it.

    So that one downloads and the others find what it downloaded.  ``None``
    stands for a process alone.
    """
    if comm is None:
        yield
        return
    if comm.intra_rank:
        comm.mpi_comm.Barrier()
    try:
        yield
    finally:  # where it fails, the others fail of the same
        if not comm.intra_rank:
            comm.mpi_comm.Barrier()


def share(comm, compute, *args):
    """Lets rank 0 compute something, and returns its result on every rank.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.
        compute (callable): What rank 0 calls with ``args``.

    Returns:
        What it returned.

    Raises:
        ~bnn.errors.UserError: On every rank, if it did on rank 0.
    """
    outcome = None
    if comm.rank == 0:
        try:
            outcome = compute(*args), None
        except errors.UserError as e:
            outcome = None, str(e)
    result, error = comm.bcast_obj(outcome)
    if error is not None:
        raise errors.UserError(error)
    return result


def average(comm, array):
    """Averages an array over the ranks.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.
        array (numpy.ndarray or cupy.ndarray): The array, float64, changed.

    Returns:
        The array.
    """
    if isinstance(array, numpy.ndarray):
        _add_up(comm, array)
    elif hasattr(comm, 'nccl_comm'):
        from cupy.cuda import get_current_stream
        from cupy.cuda import nccl
        comm._init_comms()
        comm.nccl_comm.allReduce(
            array.data.ptr, array.data.ptr, array.size, nccl.NCCL_FLOAT64,
            nccl.NCCL_SUM, get_current_stream().ptr)
    else:
        # Through the host: an MPI need not be built for CUDA.
        host = array.get()
        _add_up(comm, host)
        array.set(host)
    array /= comm.size
    return array


def _add_up(comm, array):
    from mpi4py import MPI
    comm.mpi_comm.Allreduce(MPI.IN_PLACE, array)


def check_alike(comm, **values):
    """Compares what has to be the same on every rank.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.
        values: Names to values.

    Raises:
        ~bnn.errors.UserError: On every rank, if any has other ones than
            rank 0.
    """
    everyone = comm.mpi_comm.allgather(values)
    for rank, theirs in enumerate(everyone):
        for name, value in everyone[0].items():
            if theirs[name] != value:
                raise errors.UserError(
                    'rank 0 and rank %d have different %s: %s and %s'
                    % (rank, name, value, theirs[name]))
