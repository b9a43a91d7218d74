"""The methods of ranks, with the messages of the other rank made up."""
import inspect
import types

import numpy
import pytest

from bnn import errors
from bnn.training.ranks import alone

mpi4py = pytest.importorskip('mpi4py')
# MPI starts in a process of its own, in test_runs.py.
mpi4py.rc.initialize = mpi4py.rc.finalize = False

from bnn.training.ranks import distributed  # noqa: E402


class World:
    """MPI of two ranks, of which the other one sends what is given.

    Args:
        rank (int): This one.
        theirs: What the other one sends.
    """

    def __init__(self, rank=0, theirs=None):
        self._rank, self._theirs = rank, theirs

    def allgather(self, ours):
        both = [ours, self._theirs]
        return both[::-1] if self._rank else both

    def Allreduce(self, in_place, array):  # noqa: N802
        array += self._theirs

    def ranks(self, **more):
        return distributed.Ranks(types.SimpleNamespace(
            mpi_comm=self, size=2, rank=self._rank, **more))


def test_alone_has_the_same_methods():
    def public(one):
        return {name: value for name, value in vars(one).items()
                if name[0] != '_'}

    one, many = public(alone.Alone), public(distributed.Ranks)
    functions = {name for name in one if inspect.isfunction(one[name])}
    assert functions == set(many)
    for name in functions:
        assert inspect.signature(one[name]) == inspect.signature(
            many[name]), name
        assert one[name].__doc__
    assert one.keys() - functions == public(World().ranks()).keys()


def test_first():
    def broadcast(outcome):
        return (1, None) if outcome is None else outcome

    assert World(0).ranks(bcast_obj=broadcast).first(lambda: 2) == 2
    assert World(1).ranks(bcast_obj=broadcast).first(lambda: 2) == 1

    def fail():
        raise errors.UserError('no')

    for rank, send in (0, broadcast), (1, lambda _: (None, 'no')):
        with pytest.raises(errors.UserError, match='^no$'):
            World(rank).ranks(bcast_obj=send).first(fail)


def test_check_alike():
    World(0, {'a': 1, 'b': 2}).ranks().check_alike(a=1, b=2)
    for rank in 0, 1:
        with pytest.raises(errors.UserError, match=(
                'rank 0 and rank 1 have different b: ')):
            World(rank, {'a': 1, 'b': 3}).ranks().check_alike(a=1, b=2)


def test_sums():
    ranks = World(0, {'y': (2., 3), 'z': (1., 1)}).ranks()
    assert ranks.add_up({'x': (1., 2), 'y': (.5, 1)}) == {
        'x': (1., 2), 'y': (2.5, 4), 'z': (1., 1)}
    assert World(1, 15).ranks().largest(0) == 15
    array = numpy.array([1., 2.])
    assert World(0, [3., 0.]).ranks().average(array) is array
    assert array.tolist() == [2., 1.]


def test_shares():
    ranks = World(1).ranks()
    assert ranks.share == slice(1, None, 2)
    assert not ranks.is_first
    assert ranks.part_of_batch(100, 'file') == 50
    with pytest.raises(errors.UserError, match='file .* 101 .* 2 ranks'):
        ranks.part_of_batch(101, 'file')
    assert ranks.command('./train.py lenet5') == (
        'mpiexec -n 2 ./train.py lenet5')
    assert ranks.describe_batch(50) == '50 x 2 ranks, SimpleNamespace'
    assert World(1).ranks(intra_rank=2).gpu(1) == 3
    assert World(1).ranks(intra_rank=2).gpu(-1) == -1
