"""The best epoch on the validation part, and the model that is kept."""
import types

import chainer.links as L
import numpy
import pytest
from chainer.serializers import npz

from bnn.training.learning import keep_best
from tests.helpers import small_runs

KEY = 'validation/main/accuracy'


def log_of(*accuracies):
    return [{'epoch': i, 'iteration': 10 * i, KEY: accuracy}
            for i, accuracy in enumerate(accuracies, 1)]


def test_first_of_equal_maxima():
    for accuracies, epoch in (
            ([.5], 1), ([.5, .6, .4], 2), ([.5, .6, .6], 2),
            ([.6, .5, .6], 1), ([.1, .1, .1], 1), ([.1, .2, .3], 3),
            ([0., 0.], 1)):
        assert keep_best.best(log_of(*accuracies))['epoch'] == epoch


def test_kept_on_improvement_only():
    model = L.Linear(2, 1)
    extension = keep_best.KeepBest(model)
    log = []
    trainer = types.SimpleNamespace(get_extension=lambda name: {
        'LogReport': types.SimpleNamespace(log=log)}[name])
    for entry, expected in zip(
            log_of(.5, .4, .45, .5, .7, .7, .6, .8, .1),
            (1, 1, 1, 1, 5, 5, 5, 8, 8), strict=True):
        log.append(entry)
        model.W.array[...] = entry['epoch']
        extension(trainer)
        assert (model.W.array == entry['epoch']).all()
        extension.restore()
        assert (model.W.array == expected).all()


def test_snapshots_hold_the_best():
    model = L.Linear(2, 1)
    extension = keep_best.KeepBest(model)
    saved = npz.serialize(extension)
    other_model = L.Linear(2, 1)
    other = keep_best.KeepBest(other_model)
    npz.NpzDeserializer(saved).load(other)
    expected = model.W.array.copy()
    model.W.array[...] += 1
    other.restore()
    numpy.testing.assert_array_equal(other_model.W.array, expected)
    with pytest.raises(ValueError, match='shape'):
        npz.NpzDeserializer(saved).load(keep_best.KeepBest(L.Linear(3, 1)))


def test_trigger():
    extension = keep_best.KeepBest(L.Linear(2, 1))
    for new in True, False:
        assert extension.trigger(types.SimpleNamespace(
            updater=types.SimpleNamespace(is_new_epoch=new))) == new


def test_copies_and_back(tmp_path):
    trainer = small_runs.make(tmp_path, test=False)
    model = trainer.updater.get_optimizer('main').target
    trainer.updater.update()
    arrays = {name: param.array for name, param in model.namedparams()}
    copy = keep_best.copy_arrays(model)
    same = {name: value.copy() for name, value in copy.items()}
    trainer.updater.update()
    now = keep_best.copy_arrays(model)
    assert now.keys() == copy.keys()
    assert any((now[name] != copy[name]).any() for name in copy)
    for name, value in copy.items():  # an update does not reach it
        numpy.testing.assert_array_equal(value, same[name])
    npz.NpzDeserializer(copy).load(model)
    for name, value in keep_best.copy_arrays(model).items():
        numpy.testing.assert_array_equal(value, copy[name])
    for name, param in model.namedparams():
        assert param.array is arrays[name]
