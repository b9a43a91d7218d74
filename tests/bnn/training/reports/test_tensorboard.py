"""Event files, read back, have the values of the log."""
import contextlib
import io
import json
import struct
import sys
import time

import pytest

import train_mnist
from bnn import errors
from bnn.training.reports import tensorboard

SMALL = ['--dataset', 'digits', '--unit', '8', '--batchsize', '100',
         '--no-plot', '--report', 'quiet']


def scalars(folder):
    """Returns {(tag, step): value} of all event files, oldest first."""
    event_pb2 = pytest.importorskip('tensorboardX.proto.event_pb2')
    found = {}
    paths = sorted(folder.glob('events.out.tfevents.*'))
    assert paths
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
    return found


def train(*options):
    with (contextlib.redirect_stdout(io.StringIO()),
          contextlib.redirect_stderr(io.StringIO())):
        assert not train_mnist.main([*options])


def expected(folder):
    return {(name, entry['epoch']): value
            for entry in json.loads((folder / 'log').read_text())
            for name, value in entry.items() if name != 'epoch'}


def test_values(tmp_path):
    pytest.importorskip('tensorboardX')
    run = tmp_path / 'run'
    train(*SMALL, '--epoch', '2', '--tensorboard', '--out', str(run))
    found = scalars(run)
    assert found == pytest.approx(expected(run), rel=1e-6)  # float32
    names = {name for name, _ in found}
    assert {'main/loss', 'validation/main/accuracy', 'l1/flip_ratio',
            'l3/at_clip', 'lr'} <= names
    time.sleep(1.1)  # the file is named by the second
    # Going on adds to it
    train(*SMALL, '--epoch', '3', '--tensorboard', '--out', str(run),
          '--resume', 'auto')
    assert scalars(run) == pytest.approx(expected(run), rel=1e-6)
    assert {step for _, step in scalars(run)} == {1, 2, 3}


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)
    with pytest.raises(errors.UserError, match='pip install') as e:
        tensorboard.TensorBoard()
    assert 'tensorboardX' in str(e.value)
    assert '\n' not in str(e.value)


def test_finalize_before_start():
    pytest.importorskip('tensorboardX')
    tensorboard.TensorBoard().finalize()
