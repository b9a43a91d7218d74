"""MNIST and Fashion-MNIST: four IDX files each, under the same names."""
import hashlib
import os
import typing

import numpy

from bnn import errors as base_errors
from bnn.data import dataset
from bnn.data import download
from bnn.data import errors
from bnn.data import folders
from bnn.data import idx

# How MNIST's digits were put into 28x28 pixels: the larger side in pixels, and
# the centre of mass, counted from 0 at the middle of the first pixel. Over
# the 60,000 training images it is on the mean at 14.007 across and 13.996
# down (deviation 0.29 each, whole pixels' rounding), not at the middle of the
# image, 13.5.
BOX = 20
CENTRE = 14.


class _Part(typing.NamedTuple):
    title: str
    file: str
    ndim: int
    n: int


PARTS = (
    _Part('train images', 'train-images-idx3-ubyte', 3, 60000),
    _Part('train labels', 'train-labels-idx1-ubyte', 1, 60000),
    _Part('test images', 't10k-images-idx3-ubyte', 3, 10000),
    _Part('test labels', 't10k-labels-idx1-ubyte', 1, 10000))


class _Facts(typing.NamedTuple):
    title: str
    class_names: tuple
    mirrors: tuple
    md5_unpacked: tuple
    md5_gz: tuple


FACTS = {
    # The MD5 of the unpacked files, so that any compression of them passes
    'mnist': _Facts(
        'MNIST', tuple('0123456789'),
        ('https://ossci-datasets.s3.amazonaws.com/mnist/',
         'https://storage.googleapis.com/cvdf-datasets/mnist/'),
        ('6bbc9ace898e44ae57da46a324031adb',
         'a25bea736e30d166cdddb491f175f624',
         '2646ac647ad5339dbf082846283269ea',
         '27ae3e4e09519cfbb04c329615203637'),
        (None,) * 4),
    # Published are the MD5s of the .gz files alone (README of
    # github.com/zalandoresearch/fashion-mnist): these hold for downloads
    'fashion-mnist': _Facts(
        'Fashion-MNIST',
        ('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat',
         'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'),
        ('https://github.com/zalandoresearch/fashion-mnist/raw/master/data/'
         'fashion/',
         'https://storage.googleapis.com/tensorflow/tf-keras-datasets/'),
        (None,) * 4,
        ('8d4fb7e6c68d591d4c3dfef9ec88bf0d',
         '25c81989df183df01b3e8a0aad5dffbe',
         'bef4ecab320f06d8554ea6380940ec79',
         'bb300cfdad3c16e7a12a480ee83cd310'))}

# The two data sets share their file names, so they are easily exchanged
_KNOWN = {
    md5: f'the {part.title} of MNIST'
    for md5, part in zip(FACTS['mnist'].md5_unpacked, PARTS, strict=True)}


def load(name, data_dir=None, allow_modified=False, mirrors=None,
         contact_s=download.CONTACT_S):
    """Loads MNIST or Fashion-MNIST, downloading what is missing.

    Args:
        name (str): ``'mnist'`` or ``'fashion-mnist'``.
        data_dir (str): As for :func:`bnn.data.load`.
        allow_modified (bool): As for :func:`bnn.data.load`. Own data is
            never completed by a download.
        mirrors (sequence of str): URLs of folders with the four .gz files,
            instead of the public ones.
        contact_s (float): As for :func:`bnn.data.download.fetch`.

    Returns:
        bnn.data.Dataset: The data.

    Raises:
        UnavailableError: Files are missing and cannot be downloaded.
        CorruptError: A file is not what it should be.
        UserError: A file cannot be read, or the folder cannot be written.

    """
    facts = FACTS[name]
    folder = folders.resolve(
        os.path.join(folders.root(), name) if data_dir is None else data_dir)
    paths = [_find(folder, part.file) for part in PARTS]
    missing = [p.file for p, path in zip(PARTS, paths, strict=True)
               if path is None]
    if allow_modified and 0 < len(missing) < len(PARTS):
        raise errors.CorruptError(
            f'{folder} lacks {", ".join(missing)}: own data is not completed '
            'by a download; add what is missing')

    # What is there first: if that is corrupt, nothing needs to be downloaded
    arrays = [path and _read(path, name, i, allow_modified)
              for i, path in enumerate(paths)]
    for i, path in enumerate(paths):
        if path is None:
            arrays[i] = _download(
                name, i, folder, mirrors or facts.mirrors, contact_s)
    for i in 0, 2:
        if len(arrays[i]) != len(arrays[i + 1]):
            raise errors.CorruptError(
                f'{folder}: {len(arrays[i])} {PARTS[i].title} but '
                f'{len(arrays[i + 1])} {PARTS[i + 1].title}')
    return dataset.Dataset(
        name, facts.title, *arrays, class_names=facts.class_names,
        source=folder)


def _find(folder, file):
    # Some archives spell the last dash as a dot
    for stem in file, file.replace('-idx', '.idx'):
        for suffix in '', '.gz':
            path = os.path.join(folder, stem + suffix)
            if os.path.lexists(path):
                return path
    return None


def _read(path, name, i, allow_modified):
    advice = 'delete the file to download it again'
    try:
        array, md5 = _parse(path, PARTS[i])
        if not allow_modified:
            advice += ', or pass --allow-modified if it is your own data'
            _check_published(array, md5, name, i)
    except errors.CorruptError as error:
        raise errors.CorruptError(f'{path}: {error}; {advice}') from None
    return array


def _download(name, i, folder, mirrors, contact_s):
    file = PARTS[i].file + '.gz'
    path = os.path.join(folder, file)

    def verify(temporary):
        md5 = FACTS[name].md5_gz[i]
        if md5 is not None:
            with open(temporary, 'rb') as stream:
                found = hashlib.md5(stream.read(), usedforsecurity=False)
            if found.hexdigest() != md5:
                raise errors.CorruptError('its MD5 is not the published one')
        array, md5 = _parse(temporary, PARTS[i])
        _check_published(array, md5, name, i)
        return array

    try:
        return download.fetch(
            [mirror + file for mirror in mirrors], path, verify, contact_s)
    except (errors.UnavailableError, errors.CorruptError) as error:
        raise type(error)(
            f'{FACTS[name].title}: {file} is not in {folder} and cannot be '
            f'downloaded ({error}); place the four files there, or use '
            '--dataset digits') from None


def _parse(path, part):
    if not os.path.isfile(path):
        # A named pipe would block, a folder has an error of its own per system
        raise base_errors.UserError(f'{path} is not a file')
    try:
        with open(path, 'rb') as stream:
            array, md5 = idx.read(stream, part.ndim)
    except OSError as error:
        raise base_errors.UserError(
            f'cannot read {path}: {error.strerror or error}') from None
    if len(array) == 0:
        raise errors.CorruptError(f'it holds no {part.title}')
    if part.ndim == 3:
        if array.shape[1:] != (28, 28):
            height, width = array.shape[1:]
            raise errors.CorruptError(
                f'its images are {height}x{width}, not 28x28')
        return array[:, None], md5
    if array.max() > 9:
        raise errors.CorruptError(f'label {array.max()} is not in 0 to 9')
    return array.astype(numpy.int32), md5


def _check_published(array, md5, name, i):
    part = PARTS[i]
    wanted = FACTS[name].md5_unpacked[i]
    what = f'the {part.title} of {FACTS[name].title}'
    if md5 != wanted and md5 in _KNOWN:
        raise errors.CorruptError(f'it holds {_KNOWN[md5]}, not {what}')
    if wanted is not None and md5 != wanted:
        raise errors.CorruptError(
            f'it is not {what} as published (MD5 of the unpacked data {md5}, '
            f'not {wanted})')
    if len(array) != part.n:
        raise errors.CorruptError(
            f'it has {len(array)} {part.title}, not {part.n}')
