"""Writing a file so that a kill or a full disk leaves the old one whole."""
import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

from bnn import errors


@contextlib.contextmanager
def write(path: str) -> Iterator[BinaryIO]:
    """Opens a file that appears under its name only when it is complete.

    The bytes go to a temporary file in the same folder, which is synced and
    then renamed over ``path``.

    Args:
        path: The file to make or to replace.

    Yields:
        A binary file to write to.

    Raises:
        ~bnn.errors.UserError: If it cannot be written (no space, no
            permission, not a file); what was under ``path`` is as it was.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        # A device, say, that the new file would replace
        raise errors.UserError(f'cannot write {path}: it is not a file')
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, f'.{name}.tmp')
    try:
        with open(temporary, 'wb') as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except OSError as e:
        raise errors.UserError(
            f'cannot write {path}: {e.strerror or e}; nothing that was there '
            'has changed') from e
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)
