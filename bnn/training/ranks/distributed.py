"""The ranks of a distributed run, with the methods of one process alone.

What the ranks of ``mpiexec`` hold between two iterations is the same
everywhere: parameters, moments, the order of the examples, NumPy's random
state.  Each computes on its share of the batch.  Every method has to be
called by all ranks.
"""
import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import chainer
import chainer.links as L
import chainermn
from chainer.serializers import npz
from mpi4py import MPI

from bnn import errors
from bnn.training.ranks import synchronized_bn


class Ranks:
    """The ranks of a run; see :class:`~bnn.training.ranks.alone.Alone`.

    Args:
        comm: ChainerMN's communicator.
    """

    def __init__(self, comm: chainermn.CommunicatorBase) -> None:
        self._comm = comm
        self._mpi = comm.mpi_comm
        self.size = comm.size
        self.is_first = comm.rank == 0
        self.share = slice(comm.rank, None, comm.size)

    def first(self, compute: Callable, *args: Any) -> Any:
        """Lets rank 0 compute something, and returns its result on each.

        Raises:
            ~bnn.errors.UserError: On every rank, if it did on rank 0.
        """
        outcome = None
        if self.is_first:
            try:
                outcome = compute(*args), None
            except errors.UserError as e:
                outcome = None, str(e)
        result, error = self._comm.bcast_obj(outcome)
        if error is not None:
            raise errors.UserError(error)
        return result

    @contextlib.contextmanager
    def one_goes_first(self) -> Iterator[None]:
        """Lets one rank on each machine do something before the others.

        So one downloads, and the others find what it downloaded.
        """
        if self._comm.intra_rank:
            self._mpi.Barrier()
        try:
            yield
        finally:  # Where it fails, the others fail of the same.
            if not self._comm.intra_rank:
                self._mpi.Barrier()

    def check_alike(self, **values: Any) -> None:
        """Compares what has to be the same on every rank.

        Raises:
            ~bnn.errors.UserError: On every rank, if any has other values
                than rank 0.
        """
        everyone = self._mpi.allgather(values)
        for rank, theirs in enumerate(everyone):
            for name, value in everyone[0].items():
                if theirs[name] != value:
                    raise errors.UserError(
                        f'rank 0 and rank {rank} have different {name}: '
                        f'{value} and {theirs[name]}')

    def part_of_batch(self, batchsize: int, path: str) -> int:
        """Divides the batch that a snapshot names among the ranks.

        Raises:
            ~bnn.errors.UserError: If that leaves a remainder.
        """
        if batchsize % self.size:
            raise errors.UserError(
                f'{path} was made with batches of {batchsize} images, which '
                f'{self.size} ranks cannot share evenly; go on with another '
                'number of them')
        return batchsize // self.size

    def add_up(self, sums: dict[str, tuple[float, int]]
               ) -> dict[str, tuple[float, int]]:
        """Adds pairs of sum and weight over the ranks, the same on each."""
        total = {}
        # A rank may have seen no example, and then has no names.
        for part in self._mpi.allgather(sums):
            for name, (value, weight) in part.items():
                before = total.get(name, (0., 0))
                total[name] = before[0] + value, before[1] + weight
        return total

    def largest(self, value: int) -> int:
        """Returns the largest value of a rank."""
        # Less than 0.1 ms, and the next thing is to wait for all anyway.
        return max(self._mpi.allgather(value))

    def prepare(self, model: chainer.Link, multi_node_bn: bool = False
                ) -> None:
        """Gives every rank the parameters and statistics of rank 0.

        Args:
            model: The model, initialized, changed.
            multi_node_bn: Whether its batch normalization is over the
                examples of all ranks.
        """
        if multi_node_bn:
            synchronized_bn.synchronize(model, self)
        arrays = self._comm.bcast_obj(
            npz.serialize(model) if self.is_first else None)
        npz.NpzDeserializer(arrays).load(model)

    def optimizer(self, optimizer: chainer.GradientMethod
                  ) -> chainer.GradientMethod:
        """Makes an optimizer average the gradients over the ranks.

        It is ChainerMN's, but the first update is a real one too.  Hooks
        before an update see the average; hooks after it, like the weight
        clip, work on every rank alike.

        Args:
            optimizer: Set up with a model that is initialized.

        Returns:
            The optimizer to update with; its state is that of the given one.
        """
        optimizer = chainermn.create_multi_node_optimizer(
            optimizer, self._comm)
        # It remembers the parameters that it has seen.  ChainerMN drops the
        # gradient of an update that finds others, and broadcasts instead.
        optimizer.is_changed(optimizer.target)
        return optimizer

    def average(self, array: Any) -> Any:
        """Averages an array over the ranks.

        Args:
            array (numpy.ndarray or cupy.ndarray): float64, changed.

        Returns:
            The array.
        """
        # Through the host: an MPI need not be built for CUDA.
        host = chainer.get_device('@numpy').send(array)
        self._mpi.Allreduce(MPI.IN_PLACE, host)
        if host is not array:
            array.set(host)
        array /= self.size
        return array

    def average_statistics(self, model: chainer.Link) -> None:
        """Averages the running statistics, before a test or a snapshot.

        ChainerMN's AllreducePersistent hands MPI the arrays of a GPU, which
        an MPI has to be built for; this does not.
        """
        for _, link in model.namedlinks():  # in the same order everywhere
            if isinstance(link, L.BatchNormalization):
                with chainer.using_device(link.device):
                    for array in link.avg_mean, link.avg_var:
                        array[...] = self.average(array.astype('f8'))

    def exchange_broken(self, iterator: chainer.dataset.Iterator) -> None:
        """Lets each rank know of the images that the others found broken.

        The share of images that may be broken is one of all images.
        """
        if iterator.broken is not None:
            iterator.broken.exchange(self._mpi.allgather)

    def gpu(self, gpu: int) -> int:
        """Returns the GPU of this rank: on each machine one after another."""
        return -1 if gpu < 0 else gpu + self._comm.intra_rank

    def wait(self) -> None:
        self._mpi.Barrier()

    def command(self, words: str) -> str:
        return f'mpiexec -n {self.size} {words}'

    def describe_batch(self, batchsize: int) -> str:
        return (f'{batchsize} x {self.size} ranks, '
                f'{type(self._comm).__name__}')
