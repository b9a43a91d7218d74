"""Going back to what was, where an iteration fails."""
import chainer
import chainer.links as L
import numpy
import pytest
from chainer.serializers import npz

from bnn.chainer_ops import adam
from bnn.training.files import copies


class Failure(Exception):
    pass


def make():
    model = chainer.Sequential(L.Linear(3, 4), L.BatchNormalization(4))
    return adam.Adam().setup(model)


def change(optimizer, others):
    model = optimizer.target
    for _ in range(2):
        loss = chainer.functions.sum(model(numpy.random.rand(5, 3).astype(
            numpy.float32)) ** 3)
        model.cleargrads()
        loss.backward()
        optimizer.update()
    model[1].N += 1
    for other in others:
        other += 1


def state(optimizer, others):
    return {**copies.take(optimizer.target), **{
        'optimizer/' + name: value
        for name, value in npz.serialize(optimizer).items()},
        'others': numpy.array(others), 'draw': numpy.random.rand()}


@pytest.mark.parametrize('n_before', (0, 1))
def test_undone(n_before):
    optimizer, others = make(), [numpy.zeros(3), numpy.ones(3)]
    for _ in range(n_before):
        change(optimizer, others)
    arrays = [param.array for param in optimizer.target.params()]
    numpy.random.seed(1)
    before = {name: numpy.array(value)
              for name, value in state(optimizer, others).items()}
    numpy.random.seed(1)
    with pytest.raises(Failure), copies.undone(optimizer, others):
        change(optimizer, others)
        raise Failure
    after = state(optimizer, others)
    assert after.keys() == before.keys()
    for name, value in before.items():
        numpy.testing.assert_array_equal(after[name], value, name)
    # A graph and fused updates know them by their addresses.
    assert all(param.array is array for param, array in zip(
        optimizer.target.params(), arrays, strict=True))


def test_kept_where_all_went_well():
    optimizer, others = make(), [numpy.zeros(3)]
    with copies.undone(optimizer, others):
        change(optimizer, others)
    assert optimizer.t == 2 and optimizer.target[1].N == 1
    assert (others[0] == 1).all()


def test_counts_kept():
    optimizer = make()
    with pytest.raises(Failure), copies.counts_kept(optimizer):
        change(optimizer, [])
        raise Failure
    assert optimizer.t == 0
    assert {rule.t for rule in copies.rules_of(optimizer)} == {0}
