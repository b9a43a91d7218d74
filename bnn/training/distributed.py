"""A training step, a test and a log that several ranks make together.

What the ranks of a run (:mod:`bnn.training.ranks`) hold between two
iterations is the same everywhere: parameters, moments, the order of the
examples, NumPy's random state.  Each computes on its share of the batch.
"""
import chainer
import numpy
from chainer.serializers import npz
from chainer.training import extension
from chainer.training.extensions import snapshot_writers

from bnn import errors
from bnn.training import averages
from bnn.training import collective
from bnn.training import evaluator
from bnn.training import stop


def batchsize_of_rank(batchsize, size, path):
    """Divides the batch of another run among the ranks of this one.

    Args:
        batchsize (int): The images in a batch of all ranks.
        size (int): The ranks that go on.
        path (str): Where it is from, for the message.

    Returns:
        int: The images in a batch of each rank.

    Raises:
        ~bnn.errors.UserError: If that leaves a remainder.
    """
    if batchsize % size:
        raise errors.UserError(
            '%s was made with batches of %d images, which %d ranks cannot '
            'share evenly; go on with another number of them'
            % (path, batchsize, size))
    return batchsize // size


def optimizer(optimizer, comm):
    """Makes an optimizer average the gradients over the ranks.

    ChainerMN's, but the first update is a real one too.  Hooks before an
    update see the average; hooks after it, like the weight clip, work on
    every rank alike.

    Args:
        optimizer (~chainer.GradientMethod): An optimizer set up with a model
            that is initialized.
        comm (chainermn.CommunicatorBase): The communicator.

    Returns:
        The optimizer to update with; its state is that of the given one.

    Raises:
        ValueError: If a parameter is not initialized.
    """
    for name, param in optimizer.target.namedparams():
        if param.array is None:
            raise ValueError('%s is not initialized yet' % name)
    import chainermn  # which needs MPI
    optimizer = chainermn.create_multi_node_optimizer(optimizer, comm)
    # It remembers the parameters that it has seen.  ChainerMN drops the
    # gradient of an update that finds others, and broadcasts instead.
    optimizer.is_changed(optimizer.target)
    return optimizer


def broadcast(link, comm):
    """Gives every rank the parameters and persistent values of rank 0.

    Args:
        link (~chainer.Link): What to make the same, initialized.
        comm (chainermn.CommunicatorBase): The communicator.
    """
    arrays = comm.bcast_obj(
        npz.serialize(link) if comm.rank == 0 else None)
    npz.NpzDeserializer(arrays).load(link)


def average_persistents(model, comm):
    """Averages the running statistics over the ranks.

    To be called before a test and before saving.  ChainerMN's
    AllreducePersistent hands MPI the arrays of a GPU, which an MPI has to be
    built for; this does not.  Integers stay as they are.

    Args:
        model (~chainer.Link): The model, changed.
        comm (chainermn.CommunicatorBase): The communicator.
    """
    for link in model.links():
        # Chainer has no public way to list them.
        for name in sorted(link._persistent):
            array = vars(link)[name]
            if getattr(array, 'dtype', numpy.dtype(int)).kind == 'f':
                with chainer.using_device(link.device):
                    array[...] = collective.average(comm, array.astype('f8'))


class BrokenImages(extension.Extension):

    """Lets each rank know of the broken images that the others met.

    What may be broken is a share of all images, not of a rank's.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.
    """

    def __init__(self, comm):
        self._comm = comm

    def trigger(self, trainer):
        """Says yes, at each iteration.

        Chainer's trigger would be in the snapshots, and missed in those of
        one process.
        """
        return True

    def __call__(self, trainer):
        self.exchange(trainer.updater.get_iterator('main'))

    def exchange(self, iterator):
        """Does it once for the images of an iterator."""
        if iterator.broken is not None:
            iterator.broken.exchange(self._comm.mpi_comm.allgather)


class Means(averages.Means):

    """Means over what all ranks added.

    The ranks add up when the means are wanted or saved, not before; all of
    them have to ask for it.  What is saved is what one process would have
    saved.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.
    """

    def __init__(self, comm):
        super().__init__()
        self._comm = comm

    def compute_mean(self):
        return self._total().compute_mean()

    def serialize(self, serializer):
        if isinstance(serializer, chainer.Deserializer):
            # On each rank, so that it weighs as much as it did
            super().serialize(serializer)
        else:
            # A rank's part; all ranks have as many iterations, so that
            # nothing is left over
            total = self._total()
            for name in total._sums:
                total._sums[name] /= self._comm.size
                total._weights[name] //= self._comm.size
            total.serialize(serializer)

    def _total(self):
        """Returns the sums of all ranks, the same on each."""
        total = averages.Means()
        mine = {name: (float(value), self._weights[name])
                for name, value in self._sums.items()}
        # A rank may have seen no example, and then has no names.
        for parts in self._comm.mpi_comm.allgather(mine):
            for name, (value, weight) in parts.items():
                total._sums[name] = total._sums.get(name, 0.) + value
                total._weights[name] = total._weights.get(name, 0) + weight
        return total


class Evaluator(evaluator.Evaluator):

    """An evaluator whose means are over the examples of all ranks.

    The iterators of the ranks share the examples, in parts of any size.

    Args:
        comm (chainermn.CommunicatorBase): The communicator.
        feed, target, device, test_statistics: See
            :class:`bnn.training.evaluator.Evaluator`.
    """

    def __init__(self, comm, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._comm = comm

    def evaluate(self):
        average_persistents(self._targets['main'], self._comm)
        means = super().evaluate()
        BrokenImages(self._comm).exchange(self._iterators['main'])
        return means

    def _add_batches(self, means, iterator, target):
        shared = Means(self._comm)
        if len(iterator.dataset):  # Chainer's iterator divides by it.
            super()._add_batches(shared, iterator, target)
        means.add(shared.compute_mean())


class SilentWriter(snapshot_writers.Writer):

    """Writes no snapshot: rank 0 does, the others add up their means."""

    def __call__(self, filename, outdir, target):
        pass


class StopTrigger(stop.StopTrigger):

    """Stops all ranks after the same iteration, whichever got a signal.

    Args:
        n_epochs (int): Length of the training.
        comm (chainermn.CommunicatorBase): The communicator.
    """

    def __init__(self, n_epochs, comm):
        super().__init__(n_epochs)
        self._comm = comm

    def __call__(self, trainer):
        # Less than 0.1 ms, and the next thing is to wait for all anyway.
        self.signal = max(
            self._comm.mpi_comm.allgather(self.signal or 0)) or None
        return super().__call__(trainer)
