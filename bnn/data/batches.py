"""The files of CIFAR-10: pickled batches of images, and the class names."""
import numpy

from bnn.data import errors
from bnn.data import pickles

META = 'batches.meta'
TRAIN = tuple(f'data_batch_{i}' for i in range(1, 6))
TEST = 'test_batch'
FILES = (*TRAIN, TEST, META)
N_BATCH = 10000
# Published: 31 MB
MAX_FILE_BYTES = 64 << 20
# What a batch says of itself, to tell it from the others
_LABELS = {
    b'testing batch 1 of 1': TEST, TEST.encode(): TEST,
    **{b'training batch %d of 5' % i: file for i, file in enumerate(TRAIN, 1)},
    **{file.encode(): file for file in TRAIN}}


def parse(file, data, allow_modified=False):
    """Reads one of the files.

    Args:
        file (str): Which of :data:`FILES` it should be.
        data (bytes): Its content.
        allow_modified (bool): Whether there may be other than 10000 images.

    Returns:
        tuple: Of a batch the images (uint8, ``(n, 3, 32, 32)``, read-only)
        and the labels (int32, ``(n,)``); of :data:`META` the names of the
        ten classes.

    Raises:
        CorruptError: It is no such file. The message gives the reason alone,
            for the caller to say of which file.

    """
    if len(data) > MAX_FILE_BYTES:
        raise errors.CorruptError(f'more than {MAX_FILE_BYTES} bytes')
    found = pickles.read(data)
    if file == META:
        return _class_names(found)
    label = found.get('batch_label')
    label = label.encode() if isinstance(label, str) else label
    if isinstance(label, bytes) and _LABELS.get(label, file) != file:
        raise errors.CorruptError(f'mislabelled: it holds {_LABELS[label]}')
    images = _images(found.get('data'))
    labels = _labels(found.get('labels'))
    if len(images) != len(labels):
        raise errors.CorruptError(
            f'{len(images)} images but {len(labels)} labels')
    if len(images) == 0:
        raise errors.CorruptError('it holds no images')
    if len(images) != N_BATCH and not allow_modified:
        raise errors.CorruptError(
            f'{len(images)} images, not {N_BATCH} (--allow-modified takes any '
            'number)')
    return images, labels


def _images(data):
    if not isinstance(data, numpy.ndarray):
        raise errors.CorruptError('it has no array "data"')
    if data.dtype != numpy.uint8 or data.shape[1:] != (3 * 32 * 32,):
        raise errors.CorruptError(
            f'its images are {data.dtype} of shape {data.shape}, not uint8 of '
            '(n, 3072)')
    return data.reshape(-1, 3, 32, 32)


def _labels(labels):
    if isinstance(labels, numpy.ndarray):
        if labels.ndim != 1:
            raise errors.CorruptError(
                f'its labels are of shape {labels.shape}, not (n,)')
        labels = labels.tolist()
    if type(labels) is not list:
        raise errors.CorruptError('it has no list "labels"')
    for label in labels:
        if type(label) is not int:
            raise errors.CorruptError('it has a label that is no integer')
        if not 0 <= label <= 9:
            raise errors.CorruptError(f'label {label} is not in 0 to 9')
    return numpy.array(labels, numpy.int32)


def _class_names(meta):
    names = meta.get('label_names')
    if type(names) is not list or len(names) != 10:
        raise errors.CorruptError('it has no list "label_names" of 10')
    names = tuple(name.decode('utf-8', 'replace')
                  if isinstance(name, bytes) else name for name in names)
    if (not all(isinstance(name, str) and name.isprintable() and name
                for name in names) or len(set(names)) != 10):
        raise errors.CorruptError('its label names are not 10 different texts')
    return names
