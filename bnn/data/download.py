"""Downloads of files that are verified before they get their name."""
import concurrent.futures
import http.client
import os
import secrets
import sys
import threading
import time
import urllib.error
import urllib.request

from bnn import errors as base_errors
from bnn.data import errors

# All first contacts together: without a network the user waits this long
CONTACT_S = 12.0
READ_S = 15.0
ROUNDS = 2
PAUSE_S = 1.0
MAX_BYTES = 1 << 30
_CHUNK = 1 << 16


class _TransferError(Exception):
    """The mirror failed, not this machine's disk."""

    def __init__(self, reason, final=False):
        super().__init__(reason)
        self.final = final


def fetch(urls, path, verify, contact_s=CONTACT_S, read_s=READ_S,
          max_bytes=MAX_BYTES):
    """Downloads one file from the first of its mirrors that delivers it.

    The data goes to a temporary file in the folder of ``path``, which is
    renamed only after ``verify`` accepted it, and is removed otherwise. A file
    that is already at ``path`` is never overwritten. Before a mirror has
    answered, nothing is written or printed.

    Args:
        urls (sequence of str): The mirrors, in the order to try them. Each is
            tried once more if another try may help.
        path (str): Where the file goes. Its folder is made if needed.
        verify (callable): Called with the path of the temporary file; raises
            CorruptError where the content is wrong.
        contact_s (float): Seconds after which to give up if no mirror answers,
            whatever their number and whatever hangs, name lookup included.
        read_s (float): Seconds without data after which a mirror failed.
        max_bytes (int): A mirror that delivers more than this failed.

    Returns:
        What ``verify`` returned.

    Raises:
        UnavailableError: No mirror delivered the file.
        CorruptError: Mirrors delivered the file, with wrong content.
        UserError: The file cannot be written.

    """
    given_up = set()
    reasons = {}
    wrong = False
    deadline = time.monotonic() + contact_s
    for attempt in range(ROUNDS):
        waiting = [url for url in urls if url not in given_up]
        if not waiting or time.monotonic() >= deadline:
            break
        if attempt:
            time.sleep(PAUSE_S)
        for i, url in enumerate(waiting):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                # A mirror that hangs leaves their share to those after it
                with _open(url, left / (len(waiting) - i), read_s) as response:
                    try:
                        return _save(response, url, path, verify, max_bytes)
                    finally:
                        # There is a network: the others get their full time
                        deadline = time.monotonic() + contact_s
            except _TransferError as error:
                reasons[url] = str(error)
                if error.final:
                    given_up.add(url)
            except errors.CorruptError as error:
                reasons[url] = str(error)
                given_up.add(url)
                wrong = True
    said = '; '.join(f'{url}: {reason}' for url, reason in reasons.items())
    if wrong:
        raise errors.CorruptError(f'the mirrors deliver other data ({said})')
    raise errors.UnavailableError(said)


def _open(url, wait_s, read_s):
    # In a thread, since no timeout of urllib covers the name lookup; a daemon,
    # so that one that hangs does not keep the process alive
    future = concurrent.futures.Future()
    threading.Thread(
        target=_contact, args=(url, read_s, future), daemon=True).start()
    try:
        return future.result(wait_s)
    except (concurrent.futures.TimeoutError, TimeoutError):
        future.add_done_callback(_discard)
        raise _TransferError(f'no answer in {wait_s:.3g} s') from None
    except urllib.error.HTTPError as error:
        error.close()
        raise _TransferError(_reason(error), error.code < 500) from None
    except Exception as error:
        raise _TransferError(_reason(error)) from None


def _contact(url, read_s, future):
    request = urllib.request.Request(
        url, headers={'User-Agent': 'bnn-datasets'})
    try:
        response = urllib.request.urlopen(request, timeout=read_s)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(response)


def _discard(future):
    answer = future.exception() or future.result()
    # Of the exceptions, only an HTTPError holds a connection
    if hasattr(answer, 'close'):
        answer.close()


def _save(response, url, path, verify, max_bytes):
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f'.{name}.{secrets.token_hex(4)}.part')
    try:
        os.makedirs(folder or '.', exist_ok=True)
        with open(temporary, 'xb') as file:
            print(f'downloading {name} from {url}', file=sys.stderr)
            for piece in _pieces(response, max_bytes):
                file.write(piece)
        result = verify(temporary)
        if not os.path.lexists(path):
            os.rename(temporary, path)
        return result
    except OSError as error:
        raise base_errors.UserError(
            f'cannot write {path}: {error.strerror or error}') from None
    finally:
        # Reached by Ctrl-C as well
        if os.path.lexists(temporary):
            os.remove(temporary)


def _pieces(response, max_bytes):
    total = response.headers.get('Content-Length', '')
    total = int(total) if total.isdecimal() else None
    done = 0
    with _Bar(total) as bar:
        while True:
            try:
                piece = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _TransferError(
                    f'broke off at {done} bytes: {_reason(error)}') from None
            if not piece:
                break
            done += len(piece)
            if done > max_bytes:
                raise _TransferError(f'more than {max_bytes} bytes', True)
            bar.update(done)
            yield piece
    if total is not None and done < total:
        raise _TransferError(f'broke off at {done} of {total} bytes')


def _reason(error):
    # Of a URLError the cause alone: its own text wraps it in brackets
    cause = getattr(error, 'reason', None)
    if isinstance(error, urllib.error.HTTPError) or cause is None:
        cause = error
    return ' '.join(str(cause).split()) or type(cause).__name__


class _Bar:
    """One line of progress on a terminal, nothing elsewhere."""

    def __init__(self, total):
        self._total = total
        self._drawn = None
        self._on = sys.stderr.isatty()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._drawn is not None:
            print(file=sys.stderr)

    def update(self, done):
        now = time.monotonic()
        if not self._on or (done != self._total and self._drawn is not None
                            and now - self._drawn < .1):
            return
        self._drawn = now
        line = f'{done / 1e6:.1f} MB'
        if self._total:
            full = min(30 * done // self._total, 30)
            line = (f'[{"#" * full:<30}] {done / 1e6:.1f} of '
                    f'{self._total / 1e6:.1f} MB')
        print(f'\r  {line}', end='', file=sys.stderr, flush=True)
