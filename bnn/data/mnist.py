"""MNIST and Fashion-MNIST: four IDX files each, under the same names."""
import functools
import hashlib
import os
import typing

import numpy

from bnn import errors
from bnn.data import dataset
from bnn.data import download
from bnn.data import folders
from bnn.data import idx

# Images and labels, of the training part and of the test part
FILES = ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte',
         't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte')
_COUNTS = dict(zip(FILES, (60000, 60000, 10000, 10000), strict=True))


class _Facts(typing.NamedTuple):
    title: str
    class_names: tuple
    mirrors: tuple
    # MD5s of the four files: unpacked, so that any compression passes, or of
    # the published .gz, which hold for a download only
    md5_unpacked: dict
    md5_gz: dict


def _by_file(*values):
    return dict(zip(FILES, values, strict=True))


FACTS = {
    'mnist': _Facts(
        'MNIST', tuple('0123456789'),
        ('https://ossci-datasets.s3.amazonaws.com/mnist/',
         'https://storage.googleapis.com/cvdf-datasets/mnist/'),
        _by_file('6bbc9ace898e44ae57da46a324031adb',
                 'a25bea736e30d166cdddb491f175f624',
                 '2646ac647ad5339dbf082846283269ea',
                 '27ae3e4e09519cfbb04c329615203637'), {}),
    # Its README publishes the MD5s of the .gz files alone:
    # github.com/zalandoresearch/fashion-mnist
    'fashion-mnist': _Facts(
        'Fashion-MNIST',
        ('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat',
         'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'),
        ('https://github.com/zalandoresearch/fashion-mnist/raw/master/data/'
         'fashion/',
         'https://storage.googleapis.com/tensorflow/tf-keras-datasets/'), {},
        _by_file('8d4fb7e6c68d591d4c3dfef9ec88bf0d',
                 '25c81989df183df01b3e8a0aad5dffbe',
                 'bef4ecab320f06d8554ea6380940ec79',
                 'bb300cfdad3c16e7a12a480ee83cd310'))}
# The two data sets share their file names, so they are easily exchanged.
_MNIST_FILES = {md5: f'{file} of MNIST' for file, md5 in
                FACTS['mnist'].md5_unpacked.items()}


def load(name, data_dir=None, allow_modified=False, mirrors=None):
    """Loads MNIST or Fashion-MNIST, downloading what is missing.

    Args:
        name (str): ``'mnist'`` or ``'fashion-mnist'``.
        data_dir (str): As for :func:`bnn.data.load`.
        allow_modified (bool): As for :func:`bnn.data.load`. Own data is
            never completed by a download.
        mirrors (sequence of str): URLs of folders with the four .gz files,
            instead of the public ones.

    Returns:
        bnn.data.Dataset: The data.

    Raises:
        UnavailableError: Files are missing and cannot be downloaded.
        UserError: A file is not what it should be or cannot be read, or the
            folder cannot be written.
    """
    facts = FACTS[name]
    folder = folders.resolve(
        os.path.join(folders.root(), name) if data_dir is None else data_dir)
    paths = {file: _find(folder, file) for file in FILES}
    missing = [file for file in FILES if paths[file] is None]
    if allow_modified and 0 < len(missing) < len(FILES):
        raise errors.UserError(
            f'{folder} lacks {", ".join(missing)}: own data is not completed '
            'by a download; add what is missing')

    # The files at hand first: where one is damaged, nothing is downloaded.
    arrays = {}
    for file, path in paths.items():
        if path is not None:
            with folders.open_file(
                    path, folders.delete_or_allow(allow_modified)) as stream:
                arrays[file] = _read(facts, file, stream, allow_modified)
    for file in missing:
        arrays[file] = download.fetch(
            [f'{mirror}{file}.gz' for mirror in mirrors or facts.mirrors],
            os.path.join(folder, f'{file}.gz'),
            functools.partial(_read_download, facts, file),
            f'{facts.title}: {file}.gz is not in {folder}',
            'place the four files there, or use --dataset digits')
    for images, labels in (FILES[:2], FILES[2:]):
        if len(arrays[images]) != len(arrays[labels]):
            raise errors.UserError(
                f'{folder}: {len(arrays[images])} images in {images}, but '
                f'{len(arrays[labels])} labels in {labels}')
    return dataset.Dataset(
        name, facts.title, *(arrays[file] for file in FILES),
        class_names=facts.class_names, source=folder)


def _find(folder, file):
    # Some archives spell the last dash as a dot.
    for stem in file, file.replace('-idx', '.idx'):
        for suffix in '', '.gz':
            path = os.path.join(folder, stem + suffix)
            if os.path.lexists(path):
                return path
    return None


def _read_download(facts, file, stream):
    if file in facts.md5_gz:
        md5 = hashlib.md5(stream.read(), usedforsecurity=False).hexdigest()
        if md5 != facts.md5_gz[file]:
            raise ValueError('its MD5 is not the published one')
        stream.seek(0)
    return _read(facts, file, stream, allow_modified=False)


def _read(facts, file, stream, allow_modified):
    is_images = 'images' in file
    array, md5 = idx.read(stream, 3 if is_images else 1)
    if len(array) == 0:
        raise ValueError('it is empty')
    if is_images and array.shape[1:] != (28, 28):
        raise ValueError('its images are {}x{}, not 28x28'.format(
            *array.shape[1:]))
    if not is_images and array.max() > 9:
        raise ValueError(f'label {array.max()} is not in 0 to 9')
    if not allow_modified:
        if md5 != facts.md5_unpacked.get(file, md5) or (
                md5 in _MNIST_FILES and not facts.md5_unpacked):
            raise ValueError(
                f'it holds {_MNIST_FILES.get(md5, "other data")}, not {file} '
                f'of {facts.title} as published (MD5 of the unpacked data '
                f'{md5})')
        if len(array) != _COUNTS[file]:
            raise ValueError(
                f'it has {len(array)} examples, not {_COUNTS[file]}')
    return array[:, None] if is_images else array.astype(numpy.int32)
