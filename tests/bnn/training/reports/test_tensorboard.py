"""Event files, read back, have the values of the log."""
import struct
import sys

import numpy
import pytest
from chainer.serializers import npz
from tensorboardX.proto import event_pb2

from bnn import errors
from bnn.training.reports import log
from bnn.training.reports import tensorboard
from tests.helpers import small_runs


def scalars(folder):
    """Returns {(tag, step): value} of all event files, oldest first."""
    found = {}
    paths = sorted(folder.glob('events.out.tfevents.*'),
                   key=lambda path: int(path.suffix[1:]))
    for path in paths:
        data = path.read_bytes()
        while data:
            # A record: length, its checksum, the event, its checksum
            size, = struct.unpack('<Q', data[:8])
            event = event_pb2.Event.FromString(data[12:12 + size])
            data = data[12 + size + 4:]
            if event.session_log.status == event.session_log.START:
                for key in [key for key in found if key[1] >= event.step]:
                    del found[key]
            for value in event.summary.value:
                found[value.tag, event.step] = value.simple_value
    return len(paths), found


def make(folder, n_epochs):
    trainer = small_runs.make(folder, n_epochs)
    trainer.extend(log.LogReport())
    trainer.extend(tensorboard.TensorBoard())
    return trainer


def expected(trainer):
    return {(name, entry['epoch']): pytest.approx(value, rel=1e-6)
            for entry in trainer.get_extension('LogReport').log
            for name, value in entry.items() if name != 'epoch'}


def test_values(tmp_path):
    first = make(tmp_path, 2)
    saved = []
    first.extend(lambda trainer: saved.append({
        name: numpy.array(value)
        for name, value in npz.serialize(trainer).items()}),
        name='save', trigger=(1, 'epoch'), priority=-1)
    first.run()
    assert scalars(tmp_path) == (1, expected(first))
    # A run that goes on from the first epoch hides the second one's values
    # and writes its own.
    numpy.random.seed(5)
    second = make(tmp_path, 3)
    second.extend(lambda trainer: None, name='save', trigger=(1, 'epoch'))
    npz.NpzDeserializer(saved[0]).load(second)
    second.run()
    n_files, found = scalars(tmp_path)
    assert n_files == 2
    assert found == expected(second)
    assert {step for _, step in found} == {1, 2, 3}


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)
    with pytest.raises(errors.UserError, match='pip install') as e:
        tensorboard.TensorBoard()
    assert 'tensorboardX' in str(e.value)
    assert '\n' not in str(e.value)


def test_finalize_before_start():
    tensorboard.TensorBoard().finalize()
