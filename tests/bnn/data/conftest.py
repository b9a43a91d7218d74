"""Mirrors that behave and that do not, on this machine; a picture folder."""
import http.server
import threading

import pytest
from PIL import Image


class _Handler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
        self.server.requested.append(self.path)
        _, mirror, name = self.path.split('/')
        if mirror == 'moved':
            self.send_response(302)
            self.send_header('Location', f'/good/{name}')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        if mirror == 'hanging':
            self.server.released.wait(10)
            return
        body = self.server.files.get(name)
        if mirror == 'absent' or body is None:
            self.send_error(404)
            return
        if mirror == 'wrong':
            body = b'<html>please log in</html>'
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if mirror in ('broken', 'stalled'):
            body = body[:len(body) // 2]
        self.wfile.write(body)
        if mirror == 'stalled':
            self.server.released.wait(10)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """Serves ``server.files`` under ``server.url + mirror + '/'``.

    Mirrors: good, moved (redirects), absent (404), wrong (other content),
    broken (closes half-way), stalled (stops half-way), hanging (no answer).
    """
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), _Handler) as server:
        server.files = {}
        server.requested = []
        server.released = threading.Event()
        server.url = f'http://127.0.0.1:{server.server_port}/'
        thread = threading.Thread(target=server.serve_forever, args=(.01,))
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def picture_folder(tmp_path):
    """A folder of 12 + 4 pictures in two classes.

    Picture i of a part is grey of level 10 * i.
    """
    folder = tmp_path / 'pets'
    for part, n in (('train', 12), ('val', 4)):
        for i in range(n):
            path = folder / part / ('cat', 'dog')[i >= n // 2] / f'{i:02}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new('L', (8, 6), 10 * i).save(path)
    return folder
