"""What has to happen around a captured graph, for those who launch in it.

While a stream is captured nothing runs, and what is copied from the host
would be copied again at each replay.  Who needs something of the kind asks
for :func:`recording` and puts it there.
"""
import contextlib

_current = None


class Recording(object):

    """A capture under way.

    Attributes:
        after (list of callable): Called when it has ended, before the first
            replay; they may copy to the device.
        before_replay (list of callable): Called before each replay.
        after_replay (list of callable): Called when a replay is queued.
            What they are methods of lives as long as the graph.
    """

    def __init__(self):
        self.after = []
        self.before_replay = []
        self.after_replay = []


def recording():
    """Returns the :class:`Recording` under way, or ``None``."""
    return _current


@contextlib.contextmanager
def record():
    """Makes a new recording the one under way.

    Yields:
        Recording: The recording.
    """
    global _current
    before, _current = _current, Recording()
    try:
        yield _current
    finally:
        _current = before
