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

from bnn import errors
from bnn.data import dataset

# Seconds after which to give up if no mirror answers, name lookup included;
# the mirrors share them.  Without a network the user waits this long.
CONTACT_S = 12.
# Seconds without data after which a mirror failed
READ_S = 15.
TRIES = 2
MAX_BYTES = 1 << 30
_CHUNK = 1 << 16


class _MirrorError(Exception):
    """The mirror failed, not this machine's disk."""


def fetch(urls, path, verify, missing, advice, max_bytes=MAX_BYTES):
    """Downloads one file from the first of its mirrors that delivers it.

    The data goes to a temporary file in the folder of ``path``, which is
    renamed only after ``verify`` accepted it, and is removed otherwise. A file
    that is already at ``path`` is never overwritten. Before a mirror has
    answered, nothing is written or printed.

    Args:
        urls (sequence of str): The mirrors, in the order to try them. One
            that breaks off is tried once more.
        path (str): Where the file goes. Its folder is made if needed.
        verify (callable): Called with the temporary file, open for reading
            bytes; raises ValueError where the content is wrong.
        missing (str): What is missing and where, for an error.
        advice (str): What the user can do about it.
        max_bytes (int): A mirror that delivers more than this failed.

    Returns:
        What ``verify`` returned.

    Raises:
        UnavailableError: No mirror delivered the file.
        UserError: Mirrors delivered the file with wrong content, or the file
            cannot be written.
    """
    reasons = {}
    is_other = False
    for url in urls:
        for _ in range(TRIES):
            try:
                response = _open(url, CONTACT_S / len(urls))
            except Exception as error:
                reasons[url] = _reason(error)
                break
            try:
                with response:
                    return _save(response, url, path, verify, max_bytes)
            except _MirrorError as error:
                reasons[url] = error
            except ValueError as error:
                reasons[url] = f'delivers other data ({error})'
                is_other = True
                break
    why = '; '.join(f'{url}: {reason}' for url, reason in reasons.items())
    reason = f'{missing} and cannot be downloaded ({why})'
    if is_other:
        raise errors.UserError(f'{reason}; {advice}')
    raise dataset.UnavailableError(reason, advice)


def _open(url, wait_s):
    # In a thread, since no timeout of urllib covers the name lookup. It is a
    # daemon, so that one that hangs does not keep the process alive.
    future = concurrent.futures.Future()

    def contact():
        request = urllib.request.Request(url, headers={'User-Agent': 'bnn'})
        try:
            future.set_result(urllib.request.urlopen(request, timeout=READ_S))
        except Exception as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            future.set_exception(error)

    threading.Thread(target=contact, daemon=True).start()
    if not concurrent.futures.wait([future], wait_s).done:
        future.add_done_callback(
            lambda late: late.exception() or late.result().close())
        raise TimeoutError(f'no answer in {wait_s:.3g} s')
    return future.result()


def _save(response, url, path, verify, max_bytes):
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f'.{name}.{secrets.token_hex(4)}.part')
    try:
        os.makedirs(folder or '.', exist_ok=True)
        with open(temporary, 'xb') as file:
            print(f'downloading {name} from {url}', file=sys.stderr)
            for piece in _pieces(response, max_bytes):
                file.write(piece)
        with open(temporary, 'rb') as file:
            result = verify(file)
        if not os.path.lexists(path):
            os.rename(temporary, path)
        return result
    except OSError as error:
        raise errors.UserError(
            f'cannot write {path}: {error.strerror or error}') from None
    finally:
        # Reached by Ctrl-C as well
        if os.path.lexists(temporary):
            os.remove(temporary)


def _pieces(response, max_bytes):
    total = int(response.headers.get('Content-Length') or -1)
    done = drawn = 0
    while True:
        try:
            piece = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _MirrorError(
                f'broke off at {done} bytes: {_reason(error)}') from None
        done += len(piece)
        # One line of progress on a terminal, ten times a second
        if sys.stderr.isatty() and (
                not piece or time.monotonic() - drawn > .1):
            drawn = time.monotonic()
            of_total = f' of {total / 1e6:.1f}' if total >= 0 else ''
            print(f'\r  {done / 1e6:.1f}{of_total} MB',
                  end='' if piece else '\n', file=sys.stderr, flush=True)
        if done > max_bytes:
            raise _MirrorError(f'more than {max_bytes} bytes')
        if not piece:
            break
        yield piece
    if done < total:
        raise _MirrorError(f'broke off at {done} of {total} bytes')


def _reason(error):
    # The text of a URLError wraps its cause in brackets.
    if not isinstance(error, urllib.error.HTTPError):
        error = getattr(error, 'reason', error)
    return errors.one_line(error)
