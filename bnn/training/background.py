"""Snapshots that are written while the training goes on."""
import sys
import threading

from bnn.training import snapshots


class Writer(snapshots.Writer):

    """Writes a snapshot while the training goes on.

    For runs on a GPU, where an epoch may take less than the disk does: what
    is handed over are copies on the host.  One at a time; an error comes out
    at the next one or at the end.  Arguments and errors as of
    :class:`bnn.training.snapshots.Writer`.
    """

    def __init__(self, settings):
        super().__init__(settings)
        self._thread = self._error = None

    def __call__(self, filename, outdir, target):
        self.finalize()
        self._thread = threading.Thread(
            target=self._write, args=(filename, outdir, target))
        self._thread.start()

    def _write(self, *args):
        try:
            super().__call__(*args)
        except Exception as e:
            self._error = e

    def finalize(self):
        """Waits until the snapshot is written."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        error, self._error = self._error, None
        # At the end of a run that failed its own error is what to tell.
        if error is not None and sys.exc_info()[0] is None:
            raise error
