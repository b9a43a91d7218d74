import io
import os
import socket
import stat
import sys
import threading
import time

import pytest

from bnn import data as datasets
from bnn import errors
from bnn.data import download

BODY = bytes(range(256)) * 1000


@pytest.fixture
def fetch(server, tmp_path):
    server.files['file.gz'] = BODY

    def fetch(*mirrors, verify=_verify, **kwargs):
        return download.fetch(
            [f'{server.url}{mirror}/file.gz' for mirror in mirrors],
            str(tmp_path / 'new' / 'file.gz'), verify, 'no file',
            'place it there', **kwargs)

    return fetch


def _verify(stream):
    if stream.read() != BODY:
        raise ValueError('not the body')
    return 'verified'


def _files(tmp_path):
    return sorted(p.name for p in (tmp_path / 'new').glob('*'))


def test_delivers(fetch, tmp_path, capsys):
    path = tmp_path / 'new' / 'file.gz'
    for mirrors in (['good'], ['moved'], ['absent', 'good'], ['wrong', 'good'],
                    ['broken', 'good']):
        assert fetch(*mirrors) == 'verified'
        assert _files(tmp_path) == ['file.gz']
        assert path.read_bytes() == BODY
        path.unlink()
        captured = capsys.readouterr()
        assert captured.out == ''
        assert all(line.startswith('downloading file.gz from http://127.0.0.1')
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
    with pytest.raises(datasets.UnavailableError, match=(
            '^no file and cannot be downloaded .*absent/.*: HTTP.*404.*; '
            'place it there$')):
        fetch('absent')
    assert server.requested == ['/absent/file.gz']  # no use in asking again
    assert not (tmp_path / 'new').exists()
    assert capsys.readouterr().err == ''


def test_wrong_everywhere(fetch, server, tmp_path):
    with pytest.raises(errors.UserError, match=r'not the body\); .*404') as e:
        fetch('wrong', 'absent')
    assert type(e.value) is errors.UserError
    assert len(server.requested) == 2
    assert _files(tmp_path) == []


def test_broken_is_tried_again(fetch, server, tmp_path):
    with pytest.raises(
            datasets.UnavailableError, match='broke off at 128000'):
        fetch('broken')
    assert len(server.requested) == download.TRIES
    assert _files(tmp_path) == []


def test_stalled_and_too_much(fetch, tmp_path, monkeypatch):
    monkeypatch.setattr(download, 'READ_S', .1)
    for mirror, kwargs, message in (
            ('stalled', {}, 'timed out'),
            ('good', {'max_bytes': 1000}, 'more than 1000 bytes')):
        with pytest.raises(datasets.UnavailableError, match=message):
            fetch(mirror, **kwargs)
        assert _files(tmp_path) == []


def test_no_answer(fetch, server, tmp_path, monkeypatch):
    # A mirror that hangs leaves time to the next.
    monkeypatch.setattr(download, 'CONTACT_S', 2.)
    assert fetch('hanging', 'good') == 'verified'
    # The time is for all.
    monkeypatch.setattr(download, 'CONTACT_S', .4)
    start = time.monotonic()
    with pytest.raises(datasets.UnavailableError, match='no answer in 0.02'):
        fetch(*['hanging'] * 20)
    assert time.monotonic() - start < 5
    # An answer that comes late is closed.
    server.released.set()
    time.sleep(.1)
    assert _files(tmp_path) == ['file.gz']


def test_time_covers_the_name_lookup(fetch, monkeypatch):
    assert download.CONTACT_S < 15
    released = threading.Event()

    def hang(*args, **kwargs):
        released.wait(10)
        raise socket.gaierror('too late')

    monkeypatch.setattr(socket, 'getaddrinfo', hang)
    monkeypatch.setattr(download, 'CONTACT_S', .3)
    start = time.monotonic()
    with pytest.raises(datasets.UnavailableError, match='no answer'):
        fetch('good')
    assert time.monotonic() - start < 5
    released.set()
    time.sleep(.05)


def test_no_network(fetch, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, 'Name or service not known')

    monkeypatch.setattr(socket, 'getaddrinfo', fail)
    with pytest.raises(datasets.UnavailableError, match='not known') as info:
        fetch('good')
    assert '\n' not in str(info.value)


def test_tls_failure(fetch, server):
    # This server speaks no TLS.
    server.url = server.url.replace('http:', 'https:')
    with pytest.raises(datasets.UnavailableError, match='SSL'):
        fetch('good')


def test_interrupt_leaves_nothing(fetch, tmp_path):
    def interrupt(stream):
        assert os.path.dirname(stream.name) == str(tmp_path / 'new')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch('good', verify=interrupt)
    assert _files(tmp_path) == []


def test_existing_is_not_overwritten(fetch, tmp_path):
    path = tmp_path / 'new' / 'file.gz'

    def appear(stream):
        path.write_bytes(b'theirs')
        return _verify(stream)

    assert fetch('good', verify=appear) == 'verified'
    assert path.read_bytes() == b'theirs'
    assert _files(tmp_path) == ['file.gz']


def test_cannot_be_written(fetch, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, 'No space left on device')

    def open_full(path, mode):
        open(path, mode).close()
        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(download, 'open', open_full, raising=False)
        with pytest.raises(errors.UserError, match='No space left'):
            fetch('good')
    assert _files(tmp_path) == []
    (tmp_path / 'new').rmdir()
    (tmp_path / 'new').write_text('a file in its place')
    with pytest.raises(errors.UserError, match='cannot write') as info:
        fetch('good')
    assert type(info.value) is errors.UserError


def test_progress_on_a_terminal_only(fetch, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, 'stderr', terminal)
    fetch('good')
    assert terminal.getvalue().splitlines()[-1] == '  0.3 of 0.3 MB'
    assert '\x1b' not in terminal.getvalue()
    # Where a mirror does not say how much comes
    response = io.BytesIO(bytes(300_000))
    response.headers = {}
    assert b''.join(download._pieces(response, 1 << 20)) == bytes(300_000)
    assert terminal.getvalue().splitlines()[-1] == '  0.3 MB'
