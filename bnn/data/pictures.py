"""Pictures that lie on the disk, decoded when they are asked for."""
import hashlib
import operator
import os
import sys
import threading

import numpy

from bnn import errors
from bnn.data import decoding

# How many of a part's pictures may be broken: this share, or this many of a
# small part, but never all
BROKEN_SHARE = .01
BROKEN_MIN = 10
# Broken pictures that are named; more are only counted
NAMED = 10


class Pictures:
    """Pictures in the place of an array ``(n, channels, h, w)`` of uint8.

    A slice is another one of these; an integer, or an array or a list of
    integers, decodes. Decoded pictures are not kept. Several threads may use
    it.

    Args:
        folder (str): Where the pictures lie.
        names (numpy.ndarray): Their paths in it, bytes, shape ``(n,)``.
        sizes (numpy.ndarray): Their sizes in bytes, int64, shape ``(n,)``.
        pool (concurrent.futures.Executor): Decodes.
        broken (Broken): Where broken ones are counted; ``None`` counts anew.
        shape (tuple of int): ``(channels, h, w)`` of a decoded picture.

    Attributes:
        broken (Broken): The files found broken; slices share it.
    """

    dtype = numpy.dtype(numpy.uint8)

    def __init__(self, folder, names, sizes, pool, broken=None,
                 shape=(3, decoding.SIZE, decoding.SIZE)):
        self.broken = Broken(folder, len(names)) if broken is None else broken
        self._folder = folder
        self._names = names
        self._sizes = sizes
        self._pool = pool
        self._shape = shape
        self._lock = threading.Lock()
        # Index -> future, of what was prefetched and not asked for yet
        self._announced = {}

    def __len__(self):
        return len(self._names)

    @property
    def shape(self):
        return len(self), *self._shape

    @property
    def fingerprint(self):
        """numpy.ndarray: Stands for the pixels in a digest of the data.

        uint8, shape ``(20,)``: a hash of the names, classes and sizes of the
        files in their order. To read their content would take hours.
        """
        state = hashlib.blake2b(digest_size=20)
        for name, size in zip(self._names, self._sizes, strict=True):
            state.update(b'%s\0%d\0' % (name, size))
        return numpy.frombuffer(state.digest(), numpy.uint8)

    def __getitem__(self, key):
        """Returns pictures.

        Args:
            key (slice, int, list of int or numpy.ndarray): Which.

        Returns:
            Pictures or numpy.ndarray: The former for a slice; else uint8,
            C-contiguous, ``(channels, h, w)`` or ``(k, channels, h, w)``.

        Raises:
            UserError: One of them is broken.
        """
        if isinstance(key, slice):
            return Pictures(self._folder, self._names[key], self._sizes[key],
                            self._pool, self.broken, self._shape)
        if numpy.ndim(key) == 0:
            return self[[key]][0]
        images, kept = self.read(key)
        if not kept.all():
            first = self._check(key)[kept.argmin()]
            raise errors.UserError(f'{self._path(first)} is broken')
        return images

    def read(self, indices):
        """Decodes pictures, without those that are broken.

        Args:
            indices (sequence of int or numpy.ndarray): Which, ``k`` of them.

        Returns:
            tuple: The pictures, uint8, C-contiguous, ``(m, channels, h, w)``
            with ``m <= k``, and which of ``indices`` these are, bool,
            ``(k,)``.

        Raises:
            UserError: Too many of the files are broken.
        """
        indices = self._check(indices)
        with self._lock:
            futures = {
                i: self._announced.pop(i, None) or self._submit(i)
                for i in dict.fromkeys(indices)}
        images = numpy.empty((len(indices), *self.shape[1:]), numpy.uint8)
        kept = numpy.ones(len(indices), bool)
        for k, i in enumerate(indices):
            if futures[i].exception():
                kept[k] = False
                self.broken.add(self._path(i), str(futures[i].exception()))
            else:
                images[k] = futures[i].result()
        return images if kept.all() else images[kept], kept

    def prefetch(self, indices):
        """Starts to decode the pictures that will be asked for next.

        They replace those announced before, which are dropped if they were
        not asked for and are not among ``indices``.

        Args:
            indices (sequence of int or numpy.ndarray): Which.
        """
        indices = self._check(indices)
        with self._lock:
            before, self._announced = self._announced, {}
            for i in dict.fromkeys(indices):
                self._announced[i] = before.pop(i, None) or self._submit(i)
        for future in before.values():
            future.cancel()

    def _check(self, indices):
        # range refuses what is outside, operator.index NumPy's bool: a mask.
        places = range(len(self))
        return [places[operator.index(i)] for i in indices]

    def _path(self, i):
        return os.path.join(self._folder, os.fsdecode(self._names[i]))

    def _submit(self, i):
        return self._pool.submit(
            decoding.decode, self._path(i), shape=self._shape)


class Broken:
    """The pictures of a part that cannot be decoded.

    Args:
        folder (str): The folder of the part, for messages.
        n (int): How many pictures it has.
    """

    def __init__(self, folder, n):
        self._where = f'{n} pictures in {folder}'
        self._allowed = min(max(BROKEN_MIN, int(BROKEN_SHARE * n)), n - 1)
        self._paths = set()
        # Path -> reason, of what the other processes were not told yet
        self._untold = {}
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._paths)

    def add(self, path, reason, is_ours=True):
        """Counts a picture, and names it on standard error, the first time.

        Args:
            path (str): The picture.
            reason (str): What is wrong with it.
            is_ours (bool): Whether this process found it.

        Raises:
            UserError: They are too many.
        """
        with self._lock:
            if path in self._paths:
                return
            self._paths.add(path)
            if is_ours:
                self._untold[path] = reason
            n = len(self)
        if n <= NAMED:
            print(f'warning: left out {path}: {reason}', file=sys.stderr)
        if n > self._allowed:
            raise errors.UserError(
                f'{n} of the {self._where} are broken, where {self._allowed} '
                f'may be; the last: {path}: {reason}')

    def exchange(self, gather):
        """Counts what other processes found as well.

        Args:
            gather (callable): Takes what was found here since the last call,
                a dict of paths to reasons; returns a list of those of all.

        Raises:
            UserError: They are too many.
        """
        with self._lock:
            untold, self._untold = self._untold, {}
        for found in gather(untold):
            for path, reason in found.items():
                self.add(path, reason, is_ours=False)
