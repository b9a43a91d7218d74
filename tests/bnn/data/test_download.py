import io
import os
import socket
import stat
import sys
import threading
import time

import pytest

from bnn import errors as base_errors
from bnn.data import download
from bnn.data import errors

BODY = bytes(range(256)) * 1000


@pytest.fixture
def fetch(server, tmp_path):
    server.files['file.gz'] = BODY

    def fetch(*mirrors, verify=_verify, **kwargs):
        return download.fetch(
            [f'{server.url}{mirror}/file.gz' for mirror in mirrors],
            str(tmp_path / 'new' / 'file.gz'), verify, **kwargs)

    return fetch


def _verify(path):
    with open(path, 'rb') as file:
        if file.read() != BODY:
            raise errors.CorruptError('not the body')
    return 'verified'


def _files(tmp_path):
    return sorted(p.name for p in (tmp_path / 'new').glob('*'))


@pytest.mark.parametrize(
    'mirrors', [['good'], ['moved'], ['absent', 'good'], ['wrong', 'good'],
                ['broken', 'good']])
def test_delivers(fetch, tmp_path, capsys, mirrors):
    assert fetch(*mirrors) == 'verified'
    assert _files(tmp_path) == ['file.gz']
    assert (tmp_path / 'new' / 'file.gz').read_bytes() == BODY
    captured = capsys.readouterr()
    assert captured.out == ''
    assert all(line.startswith('downloading file.gz from http://127.0.0.1:')
               for line in captured.err.splitlines())
    assert captured.err.endswith(f'/{mirrors[-1]}/file.gz\n')


@pytest.mark.skipif(os.name == 'nt', reason='no umask on Windows')
def test_mode_follows_umask(fetch, tmp_path):
    umask = os.umask(0o027)
    try:
        fetch('good')
    finally:
        os.umask(umask)
    mode = os.stat(tmp_path / 'new' / 'file.gz').st_mode
    assert stat.S_IMODE(mode) == 0o640


def test_absent_everywhere(fetch, server, tmp_path, capsys):
    with pytest.raises(errors.UnavailableError, match='absent/.*: HTTP.*404'):
        fetch('absent')
    assert server.requested == ['/absent/file.gz']  # no use in asking again
    assert not (tmp_path / 'new').exists()
    assert capsys.readouterr().err == ''


def test_wrong_everywhere(fetch, server, tmp_path):
    with pytest.raises(errors.CorruptError, match='not the body'):
        fetch('wrong', 'absent')
    assert len(server.requested) == 2
    assert _files(tmp_path) == []


def test_broken_is_tried_again(fetch, server, tmp_path):
    with pytest.raises(
            errors.UnavailableError, match='broke off at 128000'):
        fetch('broken')
    assert len(server.requested) == download.ROUNDS
    assert _files(tmp_path) == []


def test_stalled(fetch, tmp_path):
    with pytest.raises(errors.UnavailableError, match='timed out'):
        fetch('stalled', read_s=.1)
    assert _files(tmp_path) == []


def test_too_much(fetch, tmp_path):
    with pytest.raises(errors.UnavailableError, match='more than 1000 bytes'):
        fetch('good', max_bytes=1000)
    assert _files(tmp_path) == []


def test_hanging_leaves_time_to_the_next(fetch):
    assert fetch('hanging', 'good', contact_s=4.) == 'verified'


def test_late_answer_is_closed(fetch, server):
    with pytest.raises(errors.UnavailableError, match='no answer in 0.2 s'):
        fetch('hanging', contact_s=.2)
    server.released.set()
    time.sleep(.1)


def test_deadline_is_for_all_mirrors(fetch, tmp_path):
    start = time.monotonic()
    with pytest.raises(errors.UnavailableError, match='no answer'):
        fetch(*['hanging'] * 20, contact_s=.5)
    assert time.monotonic() - start < 5
    assert not (tmp_path / 'new').exists()


def test_deadline_covers_name_lookup(fetch, monkeypatch):
    released = threading.Event()

    def hang(*args, **kwargs):
        released.wait(10)
        raise socket.gaierror('too late')

    monkeypatch.setattr(socket, 'getaddrinfo', hang)
    start = time.monotonic()
    with pytest.raises(errors.UnavailableError, match='no answer'):
        fetch('good', contact_s=.3)
    assert time.monotonic() - start < 5
    released.set()
    time.sleep(.05)


def test_default_deadline():
    assert download.CONTACT_S + download.PAUSE_S < 15


def test_no_network(fetch, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, 'Name or service not known')

    monkeypatch.setattr(socket, 'getaddrinfo', fail)
    with pytest.raises(errors.UnavailableError, match='not known') as info:
        fetch('good')
    assert '\n' not in str(info.value)


def test_tls_failure(fetch, server):
    # This server speaks no TLS
    server.url = server.url.replace('http:', 'https:')
    with pytest.raises(errors.UnavailableError, match='SSL'):
        fetch('good')


def test_interrupt_leaves_nothing(fetch, tmp_path):
    def interrupt(path):
        assert os.path.dirname(path) == str(tmp_path / 'new')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch('good', verify=interrupt)
    assert _files(tmp_path) == []


def test_existing_is_not_overwritten(fetch, tmp_path):
    path = tmp_path / 'new' / 'file.gz'

    def appear(temporary):
        path.write_bytes(b'theirs')
        return _verify(temporary)

    assert fetch('good', verify=appear) == 'verified'
    assert path.read_bytes() == b'theirs'
    assert _files(tmp_path) == ['file.gz']


def test_folder_cannot_be_made(fetch, tmp_path):
    (tmp_path / 'new').write_text('a file in its place')
    with pytest.raises(base_errors.UserError, match='cannot write') as info:
        fetch('good')
    assert type(info.value) is base_errors.UserError


def test_full_disk(fetch, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, 'No space left on device')

    def open_full(path, mode):
        open(path, mode).close()
        return Full()

    monkeypatch.setattr(download, 'open', open_full, raising=False)
    with pytest.raises(base_errors.UserError, match='No space left'):
        fetch('good')
    assert _files(tmp_path) == []


def test_bar_on_a_terminal_only(fetch, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, 'stderr', terminal)
    fetch('good')
    line = terminal.getvalue().splitlines()[-1]
    assert line == f'  [{"#" * 30}] 0.3 of 0.3 MB'
    assert '\x1b' not in terminal.getvalue()
