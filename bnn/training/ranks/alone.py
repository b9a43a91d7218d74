"""A run of one process, as the processes of a distributed run see it.

:class:`~bnn.training.ranks.distributed.Ranks` has the same methods for the
ranks of ``mpiexec``, so that what uses either has no ``if`` for them.
"""
import contextlib
import typing
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import chainer

if typing.TYPE_CHECKING:
    from bnn.training.ranks import distributed

#: The processes of a run
Ranks: typing.TypeAlias = 'Alone | distributed.Ranks'


class Alone:
    """The only process of a run.

    Attributes:
        size: Number of processes.
        is_first: Whether this is the process that prints and writes.
        share: This process's part of what the processes share.
    """

    size = 1
    is_first = True
    share = slice(None)

    def first(self, compute: Callable, *args: Any) -> Any:
        """Returns what the first process computes; its errors too."""
        return compute(*args)

    @contextlib.contextmanager
    def one_goes_first(self) -> Iterator[None]:
        """Lets one process on each machine do something before the others."""
        yield

    def check_alike(self, **values: Any) -> None:
        """Refuses values that are not the same in every process."""

    def part_of_batch(self, batchsize: int, path: str) -> int:
        """Returns this process's part of a batch that a file names."""
        return batchsize

    def add_up(self, sums: dict[str, tuple[float, int]]
               ) -> dict[str, tuple[float, int]]:
        """Adds pairs of sum and weight over the processes, name by name."""
        return sums

    def average(self, array: Any) -> Any:
        """Averages a float64 array over the processes, in place."""
        return array

    def largest(self, value: int) -> int:
        """Returns the largest value of a process."""
        return value

    def prepare(self, model: chainer.Link, multi_node_bn: bool = False
                ) -> None:
        """Makes a model the same in every process."""

    def optimizer(self, optimizer: chainer.GradientMethod
                  ) -> chainer.GradientMethod:
        """Lets an optimizer average the gradients over the processes."""
        return optimizer

    def average_statistics(self, model: chainer.Link) -> None:
        """Averages running statistics, before a test or a snapshot."""

    def exchange_broken(self, iterator: chainer.dataset.Iterator) -> None:
        """Lets each process know of the images that the others found
        broken.
        """

    def gpu(self, gpu: int) -> int:
        """Returns the GPU of this process, -1 for the CPU."""
        return gpu

    def wait(self) -> None:
        """Waits for the other processes."""

    def command(self, words: str) -> str:
        """Returns a command line with what starts the processes."""
        return words

    def describe_batch(self, batchsize: int) -> str:
        """Returns the size of a batch in words, for the header of a run."""
        return str(batchsize)


ALONE = Alone()
