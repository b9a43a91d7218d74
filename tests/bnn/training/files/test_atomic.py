"""Atomic writes: the old file or the new one, nothing between."""
import errno
import os

import pytest

from bnn import errors
from bnn.training.files import atomic


def test_appears_at_the_end(tmp_path):
    path = tmp_path / 'new'
    with atomic.write(str(path)) as f:
        f.write(b'content')
        f.flush()
        assert not path.exists()
    assert path.read_bytes() == b'content'
    assert os.listdir(tmp_path) == ['new']


def test_replaces_at_the_end(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    with atomic.write(str(path)) as f:
        f.write(b'new')
        f.flush()
        assert path.read_bytes() == b'old'
    assert path.read_bytes() == b'new'


def test_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic.write('file') as f:
        f.write(b'new')
    assert os.listdir(tmp_path) == ['file']


def test_exception_inside(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    for error in KeyError, KeyboardInterrupt, SystemExit:
        with pytest.raises(error), atomic.write(str(path)) as f:
            f.write(b'half')
            raise error
        assert path.read_bytes() == b'old'
        assert os.listdir(tmp_path) == ['file']


def raise_no_space(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    for name in 'fsync', 'replace':
        with monkeypatch.context() as patch:
            patch.setattr(os, name, raise_no_space)
            with pytest.raises(errors.UserError, match='No space left') as e:
                with atomic.write(str(path)) as f:
                    f.write(b'new')
        assert str(path) in str(e.value)
        assert path.read_bytes() == b'old'
        assert os.listdir(tmp_path) == ['file']


def test_full_disk_while_writing(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    with pytest.raises(errors.UserError, match='No space left'), \
            atomic.write(str(path)) as f:
        f.write(b'half')
        raise_no_space()
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file']


def test_missing_folder(tmp_path):
    path = str(tmp_path / 'none' / 'file')
    with pytest.raises(errors.UserError, match='No such file'), \
            atomic.write(path):
        pass


def test_folder_in_the_way(tmp_path):
    (tmp_path / 'file').mkdir()
    with pytest.raises(errors.UserError, match='cannot write'), \
            atomic.write(str(tmp_path / 'file')) as f:
        f.write(b'x')
    assert os.listdir(tmp_path) == ['file']


def test_device_in_the_way(tmp_path):
    # As a device: neither a file nor a folder
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(errors.UserError, match='it is not a file'), \
            atomic.write(str(tmp_path / 'pipe')) as f:
        f.write(b'x')
    assert (tmp_path / 'pipe').is_fifo()
