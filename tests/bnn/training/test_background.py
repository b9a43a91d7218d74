import os
import threading

import numpy
import pytest

from bnn import errors
from bnn.training import background
from bnn.training.files import atomic
from bnn.training.files import snapshots


def test_one_after_the_other(tmp_path, monkeypatch):
    writer = background.Writer({'seed': 1})
    after = []
    writer._add_cleanup_hook(lambda: after.append(1))
    go_on = threading.Event()
    write = atomic.write

    def wait_and_write(path):
        assert go_on.wait(10)
        return write(path)

    monkeypatch.setattr(files, 'atomic_write', wait_and_write)
    writer('snapshot_iter_1', str(tmp_path), {'x': numpy.ones(3)})
    assert not os.listdir(tmp_path)
    go_on.set()
    writer('snapshot_iter_2', str(tmp_path), {'x': numpy.zeros(3)})
    assert (tmp_path / 'snapshot_iter_1').exists()  # one at a time
    writer.finalize()
    assert len(after) == 2
    arrays, settings = snapshots.read(str(tmp_path / 'snapshot_iter_2'))
    assert settings == {'seed': 1} and not arrays['x'].any()


def test_error(tmp_path):
    writer = background.Writer({})
    bad = {'updater/model:main/W': numpy.array([numpy.nan])}
    writer('snapshot_iter_1', str(tmp_path), bad)
    with pytest.raises(errors.UserError, match='NaN or infinite'):
        writer.finalize()
    writer.finalize()
    writer('snapshot_iter_1', str(tmp_path), bad)
    with pytest.raises(errors.UserError, match='NaN or infinite'):
        writer('snapshot_iter_2', str(tmp_path), {})
    writer('snapshot_iter_1', str(tmp_path), bad)
    try:
        raise ValueError('of the run')
    except ValueError:
        writer.finalize()
    assert not os.listdir(tmp_path)
