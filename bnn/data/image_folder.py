"""Folders of pictures: ImageNet, and the user's own.

ImageNet's layout is ``train/<class>/*`` and ``val/<class>/*``: O. Russakovsky
et al., "ImageNet Large Scale Visual Recognition Challenge", 2015;
https://www.image-net.org.
"""
import concurrent.futures
import math
import os

import numpy

from bnn import errors
from bnn.data import dataset
from bnn.data import decoding
from bnn.data import folders
from bnn.data import picture_files
from bnn.data import pictures

PARTS = 'train', 'val'
# What own pictures may call the test part; the first that is there counts
OWN_TESTS = 'test', 'val'
# Of each class of own pictures that are not split, one of so many is for the
# test.
TEST_SHARE = 5
# Up to this size decoded pictures of both parts are held in memory.
HELD_BYTES = 512 << 20
_CHUNK = 1000


def load(data_dir=None, workers=None):
    """Loads ImageNet, or what is laid out like it; ``val`` is the test part.

    A picture is a file in a folder of a class whose name ends like one of
    :data:`bnn.data.decoding.EXTENSIONS`, in upper or lower case, and does
    not begin with a dot; other files and deeper folders are not looked at.

    The pictures of each part are in a fixed random order, so that
    :meth:`~bnn.data.Dataset.head` and
    :meth:`~bnn.data.Dataset.with_validation` have all classes in theirs.

    Args:
        data_dir (str): The folder. ``None`` is the folder ``imagenet`` in
            ``$CHAINER_DATASET_ROOT``, or else in ``~/.chainer/dataset``.
        workers (int): Threads that decode; ``None`` is one for each core that
            this process may use.

    Returns:
        bnn.data.Dataset: The data; its images are
        :class:`bnn.data.pictures.Pictures`.

    Raises:
        UnavailableError: There is no such folder. Nothing is downloaded.
        UserError: The folder lacks something or cannot be read.
    """
    folder = folders.resolve(
        os.path.join(folders.root(), 'imagenet') if data_dir is None
        else data_dir)
    classes, files = _find_parts(folder, PARTS)
    return _dataset('imagenet', folder, classes, _open(
        files, workers, (3, decoding.SIZE, decoding.SIZE)))


def load_own(data_dir, shape, workers=None):
    """Loads a user's own pictures, scaled to one size.

    The folder holds ``train/<class>/*`` and ``test/<class>/*`` (or ``val``);
    or else ``<class>/*``, of which a fifth of each class, the same in each
    call, is the test part. What a picture is and the order of the files are
    those of :func:`load`. :func:`bnn.data.decoding.decode` scales the
    pictures.

    Up to :data:`HELD_BYTES` of pixels are held in memory, without broken
    pictures; more are decoded when they are asked for.

    Args:
        data_dir (str): The folder.
        shape (tuple of int): ``(channels, h, w)`` of an image, 1 channel for
            grey or 3.
        workers (int): See :func:`load`.

    Returns:
        bnn.data.Dataset: The data.

    Raises:
        UnavailableError: There is no such folder.
        UserError: None is named, it lacks something or cannot be read, or too
            many pictures are broken.
    """
    if data_dir is None:
        raise errors.UserError('name the folder of the pictures: --data DIR')
    folder = folders.resolve(data_dir)
    if not os.path.isdir(folder):
        raise dataset.UnavailableError(
            f'there is no {folder}: it must hold a folder of pictures for '
            'each class')
    classes = picture_files.subfolders(folder)
    test = next((part for part in OWN_TESTS if part in classes), None)
    if 'train' in classes and test is not None:
        classes, files = _find_parts(folder, ('train', test))
    else:
        if classes == ['train']:
            raise errors.UserError(
                f'{folder} has train, but no test: pictures to test on must '
                f'lie in {folder}/test/<class>/')
        _check_number(folder, classes)
        names, labels, sizes = picture_files.find(folder, classes)
        files = [(folder, names[some], labels[some], sizes[some])
                 for some in _split(folder, labels, classes)]
    data = _open(files, workers, shape)
    if sum(math.prod(images.shape) for images in data[::2]) <= HELD_BYTES:
        data = [*_decode(*data[:2]), *_decode(*data[2:])]
    seen = numpy.bincount(data[1], minlength=len(classes))
    if not seen.all():
        raise errors.UserError(
            f'{folder}: all pictures of {classes[seen.argmin()]} to '
            'train on are broken')
    return _dataset('pictures', folder, classes, data)


def _dataset(name, folder, classes, data):
    return dataset.Dataset(
        name, f'pictures of {os.path.basename(folder)}', *data,
        class_names=tuple(classes), source=folder)


def _mixed(n):
    return numpy.random.RandomState(0).permutation(
        numpy.arange(n, dtype=numpy.int32))


def _split(folder, labels, classes):
    """Returns which files train and which test, in mixed order."""
    order = _mixed(len(labels))
    is_test = numpy.zeros(len(labels), bool)
    for label, name in enumerate(classes):
        rows = order[labels[order] == label]
        if len(rows) < 2:
            raise errors.UserError(
                f'{os.path.join(folder, name)} has 1 picture, not 2 or more: '
                'some of each class train, others test')
        is_test[rows[:max(1, len(rows) // TEST_SHARE)]] = True
    return order[~is_test[order]], order[is_test[order]]


def _decode(images, labels):
    """Returns the whole ones of pictures, and their labels."""
    held = numpy.empty(images.shape, images.dtype)
    kept, n = [], 0
    for start in range(0, len(images), _CHUNK):
        some, whole = images.read(
            range(start, min(start + _CHUNK, len(images))))
        held[n:n + len(some)] = some
        n += len(some)
        kept.append(whole)
    return held[:n], labels[numpy.concatenate(kept)]


def _open(files, workers, shape):
    """Returns pictures and labels of each part, a list."""
    pool = concurrent.futures.ThreadPoolExecutor(workers or _cores())
    data = []
    for folder, names, labels, sizes in files:
        data += [pictures.Pictures(
            folder, names, sizes, pool, shape=shape), labels]
    return data


def _find_parts(folder, parts):
    """Returns the classes, and of each part its folder and its files."""
    classes, files = _find_classes(folder, parts), []
    for part, found in zip(parts, classes, strict=True):
        path = os.path.join(folder, part)
        arrays = picture_files.find(path, found)
        order = _mixed(len(arrays[0]))
        files.append((path, *(array[order] for array in arrays)))
    return classes[0], files


def _find_classes(folder, parts):
    paths = [os.path.join(folder, part) for part in parts]
    missing = [path for path in paths if not os.path.isdir(path)]
    if missing:
        kind = dataset.UnavailableError if missing == paths else (
            errors.UserError)
        raise kind(
            f'there is no {missing[0]}: the folder must hold train/<class>/* '
            'and val/<class>/*, such as train/n01440764/picture.JPEG; '
            'ImageNet is not downloaded, see https://www.image-net.org')
    train, test = map(picture_files.subfolders, paths)
    _check_number(paths[0], train)
    odd = sorted(set(train) ^ set(test))
    if odd:
        more = f' and {len(odd) - 1} more' if odd[1:] else ''
        raise errors.UserError(
            f'{folder}: {" and ".join(parts)} must have the same classes, '
            f'but only one of them has {odd[0]}{more}')
    return train, test


def _check_number(folder, classes):
    if len(classes) < 2:
        raise errors.UserError(
            f'{folder} has {len(classes)} '
            f'folder{"s" * (len(classes) != 1)} of classes, not 2 or more: '
            f'pictures must lie in {folder}/<class>/')


def _cores():
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
