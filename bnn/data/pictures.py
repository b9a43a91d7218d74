"""Pictures that lie on the disk, decoded when they are asked for."""
import hashlib
import operator
import sys
import threading

import numpy

from bnn.data import decoding
from bnn.data import errors

# Of a part's pictures, those that may be broken: this share, or this many of
# a small part, but never all
BROKEN_SHARE = .01
BROKEN_MIN = 10
# Broken pictures that are named; more are only counted
NAMED = 10


class Pictures:
    """Pictures in the place of an array ``(n, 3, 256, 256)`` of uint8.

    A slice is another one of these; an integer, or an array or a list of
    them, decodes. None that was decoded is kept. Several threads may use it.

    Args:
        files (bnn.data.image_folder.Files): Where the pictures lie.
        pool (concurrent.futures.Executor): Decodes.
        rows (numpy.ndarray): The files, integers, shape ``(n,)``.
        broken (Broken): The record of the files, ``None`` for a new one.

    Attributes:
        broken (Broken): The files found broken; slices share it.

    """

    dtype = numpy.dtype(numpy.uint8)

    def __init__(self, files, pool, rows, broken=None):
        self.broken = Broken(files) if broken is None else broken
        self._files = files
        self._pool = pool
        self._rows = rows
        self._lock = threading.Lock()
        self._announced = {}

    def __len__(self):
        return len(self._rows)

    @property
    def shape(self):
        return len(self), 3, decoding.SIZE, decoding.SIZE

    @property
    def fingerprint(self):
        """numpy.ndarray: Stands for the pixels in a digest of the data.

        uint8, shape ``(20,)``, of the names of the files, their classes and
        sizes, in their order; not of their content, which it would take hours
        to read.
        """
        state = hashlib.blake2b(digest_size=20)
        for row in self._rows.tolist():
            state.update(b'%s\0%d\0' % (
                self._files.name(row), self._files.sizes[row]))
        return numpy.frombuffer(state.digest(), numpy.uint8)

    def __getitem__(self, key):
        """Returns pictures.

        Args:
            key (slice, int, list of int or numpy.ndarray): Which.

        Returns:
            Pictures or numpy.ndarray: Of a slice the former; else uint8,
            C-contiguous, ``(3, 256, 256)`` or ``(k, 3, 256, 256)``.

        Raises:
            CorruptError: One of them is broken.

        """
        if isinstance(key, slice):
            return Pictures(
                self._files, self._pool, self._rows[key], self.broken)
        if numpy.ndim(key) == 0:
            return self[[key]][0]
        rows, futures = self._decode(key)
        for row, future in zip(rows, futures, strict=True):
            if future.exception():
                raise errors.CorruptError(
                    f'{self._files.path(row)}: {future.exception()}')
        return _stack(futures)

    def read(self, indices):
        """Decodes pictures, without those that are broken.

        Args:
            indices (sequence of int or numpy.ndarray): Which, ``k`` of them.

        Returns:
            tuple: The pictures, uint8, C-contiguous, ``(m, 3, 256, 256)`` with
            ``m <= k``, and which of ``indices`` these are, bool, ``(k,)``.

        Raises:
            CorruptError: Too many of the files are broken.

        """
        rows, futures = self._decode(indices)
        kept = numpy.ones(len(rows), bool)
        for i, (row, future) in enumerate(zip(rows, futures, strict=True)):
            if future.exception():
                kept[i] = False
                self.broken.add(row, future.exception())
        return _stack([f for f in futures if not f.exception()]), kept

    def prefetch(self, indices):
        """Starts to decode the pictures that will be asked for next.

        They replace those announced before: of these, what was not asked for
        and is not among ``indices`` is dropped.

        Args:
            indices (sequence of int or numpy.ndarray): Which.

        """
        rows = self._select(indices)
        with self._lock:
            before, self._announced = self._announced, {}
            for row in dict.fromkeys(rows):
                self._announced[row] = (
                    before.pop(row, None) or self._submit(row))
        for future in before.values():
            future.cancel()

    def _decode(self, indices):
        rows = self._select(indices)
        with self._lock:
            futures = {
                row: self._announced.pop(row, None) or self._submit(row)
                for row in dict.fromkeys(rows)}
        return rows, [futures[row] for row in rows]

    def _select(self, indices):
        # No mask: operator.index refuses NumPy's bool
        return [int(self._rows[operator.index(i)]) for i in indices]

    def _submit(self, row):
        return self._pool.submit(decoding.decode, self._files.path(row))


class Broken:
    """The pictures of a part that cannot be decoded.

    Args:
        files (bnn.data.image_folder.Files): The part.

    """

    def __init__(self, files):
        self._files = files
        self._allowed = min(
            max(BROKEN_MIN, int(BROKEN_SHARE * len(files))), len(files) - 1)
        self._rows = set()
        self._untold = {}
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._rows)

    def exchange(self, gather):
        """Counts what other processes found as well, one count of all.

        Args:
            gather (callable): Takes what was found here since the last call,
                a dict of rows to reasons; returns a list of those of all.

        Raises:
            CorruptError: They are too many.

        """
        with self._lock:
            untold, self._untold = self._untold, {}
        for found in gather(untold):
            for row, reason in found.items():
                self._add(row, reason)

    def add(self, row, reason):
        """Counts a picture, and names it on standard error, the first time.

        Args:
            row (int): Which of the files.
            reason (object): What is wrong, as text.

        Raises:
            CorruptError: They are too many.

        """
        with self._lock:
            if row not in self._rows:
                self._untold[row] = str(reason)
        self._add(row, reason)

    def _add(self, row, reason):
        path = self._files.path(row)
        with self._lock:
            if row in self._rows:
                return
            self._rows.add(row)
            n = len(self)
        if n <= NAMED:
            print(f'warning: left out {path}: {reason}', file=sys.stderr)
        if n > self._allowed:
            raise errors.CorruptError(
                f'{n} of the {len(self._files)} pictures in '
                f'{self._files.folder} are broken, where {self._allowed} may '
                f'be; the last: {path}: {reason}')


def _stack(futures):
    images = numpy.empty(
        (len(futures), 3, decoding.SIZE, decoding.SIZE), numpy.uint8)
    for image, future in zip(images, futures, strict=True):
        image[...] = future.result()
    return images
