"""A folder of pictures, ``train/<class>/*`` and ``val/<class>/*``.

The layout of ImageNet: O. Russakovsky et al., "ImageNet Large Scale Visual
Recognition Challenge", 2015; https://www.image-net.org.
"""
import concurrent.futures
import os

import numpy

from bnn import errors
from bnn.data import dataset
from bnn.data import folders
from bnn.data import picture_files
from bnn.data import pictures

PARTS = 'train', 'val'


def load(data_dir=None, workers=None):
    """Loads a folder of pictures; ``val`` is the test part.

    A picture is a file in a folder of a class whose name ends like one of
    :data:`bnn.data.decoding.EXTENSIONS`, in upper or lower case, and does
    not begin with a dot; other files and deeper folders are not looked at.

    The pictures of each part are in a fixed random order, so that
    :meth:`~bnn.data.Dataset.head` and
    :meth:`~bnn.data.Dataset.with_validation` have all classes in theirs.

    The list of the files is kept in ``$XDG_CACHE_HOME/binary_net``, or else in
    ``~/.cache/binary_net``. It is made anew when a folder of a class appears,
    disappears or changes its time of change, which it does when files are
    added or removed, not when one is overwritten.

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
    train, _ = classes = _find_classes(folder)
    pool = concurrent.futures.ThreadPoolExecutor(workers or _cores())
    data = []
    for part, found in zip(PARTS, classes, strict=True):
        part = os.path.join(folder, part)
        names, labels, sizes = picture_files.find(part, found)
        order = numpy.random.RandomState(0).permutation(
            numpy.arange(len(names), dtype=numpy.int32))
        data += [pictures.Pictures(part, names[order], sizes[order], pool),
                 labels[order]]
    return dataset.Dataset(
        'imagenet', f'images in {os.path.basename(folder)}', *data,
        class_names=tuple(train), source=folder)


def _find_classes(folder):
    paths = [os.path.join(folder, part) for part in PARTS]
    missing = [path for path in paths if not os.path.isdir(path)]
    if missing:
        kind = dataset.UnavailableError if missing == paths else (
            errors.UserError)
        raise kind(
            f'there is no {missing[0]}: the folder must hold train/<class>/* '
            'and val/<class>/*, such as train/n01440764/picture.JPEG; '
            'ImageNet is not downloaded, see https://www.image-net.org')
    train, val = map(picture_files.subfolders, paths)
    if len(train) < 2:
        raise errors.UserError(
            f'{paths[0]} has {len(train)} folders of classes, not 2 or more: '
            'pictures must lie in train/<class>/')
    odd = sorted(set(train) ^ set(val))
    if odd:
        more = f' and {len(odd) - 1} more' if odd[1:] else ''
        raise errors.UserError(
            f'{folder}: train and val must have the same classes, but only '
            f'one of them has {odd[0]}{more}')
    return train, val


def _cores():
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
