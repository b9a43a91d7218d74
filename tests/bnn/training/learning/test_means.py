"""Means in float64, weighted by examples."""
import chainer
import numpy
from chainer.serializers import npz

from bnn.training.learning import means
from bnn.training.ranks import alone


def f32(value):
    return numpy.array(value, numpy.float32)


def test_adds_in_float64():
    found = means.Means()
    values = [f32(1e8)] + [f32(.25)] * 1000
    for value in values:
        found.add({'loss': value})
    assert found.compute_mean() == {'loss': (1e8 + 250) / 1001}
    total = numpy.float32(0)
    for value in values:
        total += value
    assert total == 1e8  # the same sum in float32


def test_numpy_scalars_too():
    # What x.mean() of an array gives: neither a float nor an array.
    found = means.Means()
    for value in [1e8] + [.25] * 1000:
        found.add({'loss': numpy.float32(value)})
    assert found.compute_mean() == {'loss': (1e8 + 250) / 1001}


def test_weights():
    found = means.Means()
    found.add({'a': 1., 'b': 10}, 100)
    found.add({'a': f32(4)}, 50)
    found.add({'b': chainer.Variable(f32(40))}, 50)
    result = found.compute_mean()
    assert result == {'a': 2., 'b': 20.}
    assert all(type(value) is float for value in result.values())


def test_empty():
    assert means.Means().compute_mean() == {}


def test_arrays_are_not_kept():
    found = means.Means()
    value = f32(1)
    found.add({'a': value})
    value[...] = 100
    found.add({'a': 3})
    assert found.compute_mean() == {'a': 2}


def test_not_finite():
    for value in numpy.nan, numpy.inf:
        found = means.Means()
        found.add({'a': f32(1)})
        found.add({'a': f32(value)})
        assert not numpy.isfinite(found.compute_mean()['a'])


def test_serialization_in_mid_epoch(tmp_path):
    random = numpy.random.RandomState(0)
    observations = [
        ({'main/loss': f32(random.rand()), 'x/y': random.rand()}, 1 + i % 3)
        for i in range(20)]
    whole, first = means.Means(), means.Means()
    for observation in observations:
        whole.add(*observation)
    for observation in observations[:9]:
        first.add(*observation)
    path = str(tmp_path / 'means.npz')
    npz.save_npz(path, first)
    second = means.Means()
    second.add({'stale': 1})
    npz.load_npz(path, second)
    for observation in observations[9:]:
        second.add(*observation)
    assert second.compute_mean() == whole.compute_mean()  # to the last bit


def test_serialization_of_nothing(tmp_path):
    path = str(tmp_path / 'means.npz')
    npz.save_npz(path, means.Means())
    found = means.Means()
    npz.load_npz(path, found)
    assert found.compute_mean() == {}
    found.add({'a': 2})
    assert found.compute_mean() == {'a': 2}


def test_accuracy_is_exact():
    y = numpy.zeros((3, 4), numpy.float32)
    y[[0, 1, 2], [1, 2, 3]] = 1
    accuracy = means.accuracy(
        chainer.Variable(y), numpy.array([1, 2, 0], numpy.int32))
    assert accuracy.dtype == numpy.float64
    assert accuracy.array == 2 / 3  # not that of float32


def test_accuracy_of_arrays():
    y = numpy.eye(5, dtype=numpy.float16)
    for n_right in 0, 1, 2, 5:
        t = numpy.arange(5, dtype=numpy.int32)
        t[n_right:] = (t[n_right:] + 1) % 5
        assert means.accuracy(y, t).array == n_right / 5


class Two(alone.Alone):
    """Two processes that have added the same."""

    size = 2

    def add_up(self, sums):
        return {name: (2 * value, 2 * weight)
                for name, (value, weight) in sums.items()}


def test_of_several_processes():
    """Each one saves its part, and goes on from there."""
    found = means.Means(Two())
    found.add({'a': 1.}, 3)
    found.add({'a': 3.}, 1)
    assert found.compute_mean() == {'a': 1.5}
    saved = npz.serialize(found)
    assert saved['sums'] == [6.] and saved['weights'] == [4]
    resumed = means.Means(Two())
    npz.NpzDeserializer(saved).load(resumed)
    assert resumed.compute_mean() == {'a': 1.5}
