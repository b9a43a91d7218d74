"""The log of a run: float64 means, in a file that is whole at any time."""
import json

import chainer
import numpy
import pytest
from chainer.serializers import npz

from bnn.training.ranks import alone
from bnn.training.reports import log
from tests.helpers import small_runs


class Other(alone.Alone):
    """Not the first process."""

    is_first = False


def test_means(tmp_path):
    trainer = small_runs.make(tmp_path)
    trainer.extend(log.LogReport())
    losses, seen = [], []

    @chainer.training.make_extension(trigger=(1, 'iteration'), priority=1000)
    def record(trainer):
        losses.append(float(trainer.observation['main/loss'].array))

    @chainer.training.make_extension(trigger=(1, 'epoch'), priority=-1)
    def after(trainer):
        seen.append(trainer.observation['main/loss'])

    trainer.extend(record, name='record')
    trainer.extend(after, name='after')
    trainer.run()
    entries = json.loads((tmp_path / 'log').read_text())
    assert entries == trainer.get_extension('LogReport').log
    assert [entry['epoch'] for entry in entries] == [1, 2]
    assert [entry['iteration'] for entry in entries] == [4, 8]
    for i, entry in enumerate(entries):
        # In float64, all digits
        assert entry['main/loss'] == sum(losses[4 * i:4 * i + 4], 0.) / 4
        assert entry['elapsed_time'] > 0
        for name in ('main/accuracy', 'validation/main/loss',
                     'validation/main/accuracy'):
            assert 0 <= entry[name]
    # What comes after the log sees the means.
    assert seen == [entry['main/loss'] for entry in entries]
    assert [path.name for path in tmp_path.iterdir()] == ['log']


def test_one_process_writes(tmp_path):
    trainer = small_runs.make(tmp_path)
    trainer.extend(log.LogReport(Other()))
    trainer.run()
    assert len(trainer.get_extension('LogReport').log) == 2
    assert list(tmp_path.iterdir()) == []


def test_resume_in_mid_epoch(tmp_path):
    """The means are those of the run that was never interrupted."""
    def entries(trainer):
        return [{name: value for name, value in entry.items()
                 if name != 'elapsed_time'}
                for entry in trainer.get_extension('LogReport').log]

    numpy.random.seed(1)
    whole = small_runs.make(tmp_path / 'whole')
    whole.extend(log.LogReport())
    saved = []

    @chainer.training.make_extension(trigger=(6, 'iteration'), priority=-1)
    def save(trainer):
        saved.append(({
            name: numpy.array(value)  # The arrays themselves change.
            for name, value in npz.serialize(trainer).items()},
            numpy.random.get_state()))

    whole.extend(save, name='save')
    whole.run()
    resumed = small_runs.make(tmp_path / 'resumed')
    resumed.extend(log.LogReport())
    resumed.extend(save, name='save')
    state, random = saved[0]
    npz.NpzDeserializer(state).load(resumed)
    numpy.random.set_state(random)
    resumed.run()
    assert entries(resumed) == entries(whole)
    assert len(entries(resumed)) == 2


def test_not_finite(tmp_path):
    trainer = small_runs.make(tmp_path, 1, test=False)
    trainer.extend(log.LogReport())

    @chainer.training.make_extension(trigger=(1, 'iteration'), priority=1000)
    def spoil(trainer):
        trainer.observation['main/loss'] = numpy.nan

    trainer.extend(spoil, name='spoil')
    trainer.run()
    entry, = json.loads((tmp_path / 'log').read_text())
    assert entry['main/loss'] != entry['main/loss']
    assert entry['main/accuracy'] == pytest.approx(entry['main/accuracy'])
