"""Copies of links and optimizers, and back into the same arrays."""
import numpy

from bnn.training.files import copies
from tests.helpers import small_runs


def test_round_trip(tmp_path):
    trainer = small_runs.make(tmp_path, test=False)
    optimizer = trainer.updater.get_optimizer('main')
    model = optimizer.target
    trainer.updater.update()
    arrays = {name: param.array for name, param in model.namedparams()}
    targets = model, optimizer
    before = [copies.take(target) for target in targets]
    kept = [{name: value.copy() for name, value in copy.items()}
            for copy in before]
    trainer.updater.update()
    for target, copy, same in zip(targets, before, kept, strict=True):
        now = copies.take(target)
        assert now.keys() == copy.keys()
        assert any((now[name] != copy[name]).any() for name in copy)
        for name, value in copy.items():  # an update does not reach it
            numpy.testing.assert_array_equal(value, same[name])
        copies.restore(target, copy)
        for name, value in copies.take(target).items():
            numpy.testing.assert_array_equal(value, copy[name])
    for name, param in model.namedparams():
        assert param.array is arrays[name]
    assert optimizer.t == 1


def test_before_the_first_update(tmp_path):
    """Moments that there were not yet are left as they are."""
    trainer = small_runs.make(tmp_path, test=False)
    optimizer = trainer.updater.get_optimizer('main')
    copy = copies.take(optimizer)
    trainer.updater.update()
    copies.restore(optimizer, copy)
    assert optimizer.t == 0
