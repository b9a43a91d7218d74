"""A folder of pictures, ``train/<class>/*`` and ``val/<class>/*``.

The layout of ImageNet: O. Russakovsky et al., "ImageNet Large Scale Visual
Recognition Challenge", 2015; https://www.image-net.org.
"""
import concurrent.futures
import os

import numpy

from bnn.data import dataset
from bnn.data import errors
from bnn.data import folders
from bnn.data import picture_files
from bnn.data import pictures

TRAIN, VAL = PARTS = 'train', 'val'


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
        CorruptError: The folder lacks something.
        UserError: It cannot be read.

    """
    folder = folders.resolve(
        os.path.join(folders.root(), 'imagenet') if data_dir is None
        else data_dir)
    times = _find_parts(folder)
    classes = {
        part: picture_files.subfolders(os.path.join(folder, part))
        for part in PARTS}
    _check_classes(folder, classes)
    pool = concurrent.futures.ThreadPoolExecutor(workers or _usable_cores())
    data = []
    for part in PARTS:
        files = picture_files.find(
            os.path.join(folder, part), times[part], classes[part])
        order = numpy.random.RandomState(0).permutation(
            numpy.arange(len(files), dtype=numpy.int32))
        data += pictures.Pictures(files, pool, order), files.labels[order]
    return dataset.Dataset(
        'imagenet', f'images in {os.path.basename(folder)}', *data,
        class_names=tuple(classes[TRAIN]), source=folder)


def _find_parts(folder):
    found = {}
    if os.path.lexists(folder):
        found = picture_files.subfolders(folder)
    missing = [part for part in PARTS if part not in found]
    if len(missing) == 2:
        raise errors.UnavailableError(
            f'no pictures in {folder}: it must hold {TRAIN}/<class>/* and '
            f'{VAL}/<class>/*, such as {TRAIN}/n01440764/picture.JPEG; '
            'ImageNet is not downloaded, see https://www.image-net.org')
    if missing:
        raise errors.CorruptError(
            f'{folder} lacks the folder {missing[0]} with '
            f'{missing[0]}/<class>/*')
    return {part: found[part] for part in PARTS}


def _check_classes(folder, classes):
    for part in PARTS:
        if not classes[part]:
            raise errors.CorruptError(
                f'{os.path.join(folder, part)} has no folder of a class: its '
                f'pictures must lie in {part}/<class>/')
    for part, other in (PARTS, PARTS[::-1]):
        missing = sorted(set(classes[part]) - set(classes[other]))
        if missing:
            more = f' and {len(missing) - 1} more' if missing[1:] else ''
            raise errors.CorruptError(
                f'{folder}: {other} lacks the class {missing[0]}{more} of '
                f'{part}')
    if len(classes[TRAIN]) == 1:
        raise errors.CorruptError(
            f'{folder} has one class only, {next(iter(classes[TRAIN]))}: '
            'there is nothing to tell apart')


def _usable_cores():
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
