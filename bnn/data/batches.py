"""The files of CIFAR-10: pickled batches of images, and the class names."""
import numpy

from bnn.data import pickles

META = 'batches.meta'
TRAIN = tuple(f'data_batch_{i}' for i in range(1, 6))
TEST = 'test_batch'
FILES = (*TRAIN, TEST, META)
N_BATCH = 10000
# A published file has 31 MB.
MAX_FILE_BYTES = 64 << 20
# What the published batches say they are
_LABELS = {'testing batch 1 of 1': TEST, **{
    f'training batch {i} of 5': file for i, file in enumerate(TRAIN, 1)}}


def parse(file, data, allow_modified=False):
    """Reads one of the files.

    Args:
        file (str): Which of :data:`FILES` it should be.
        data (bytes): Its content.
        allow_modified (bool): Whether a batch may have other than 10000
            images.

    Returns:
        tuple: For a batch its images (uint8, ``(n, 3, 32, 32)``, read-only)
        and labels (int32, ``(n,)``); for :data:`META` the names of the ten
        classes.

    Raises:
        ValueError: It is no such file.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f'more than {MAX_FILE_BYTES} bytes')
    found = pickles.read(data)
    if file == META:
        return _class_names(found.get('label_names'))
    label = pickles.text(found.get('batch_label'))
    if isinstance(label, str):
        label = _LABELS.get(label, label)
        if label in FILES and label != file:
            raise ValueError(f'it holds {label}')
    images, labels = (
        numpy.asarray(found.get(key)) for key in ('data', 'labels'))
    if images.dtype != numpy.uint8 or images.shape[1:] != (3 * 32 * 32,):
        raise ValueError(
            f'its "data" is {images.dtype} of shape {images.shape}, not uint8 '
            'of (n, 3072)')
    if labels.dtype.kind not in 'iu' or labels.shape != (len(images),):
        raise ValueError(
            f'its "labels" are not {len(images)} integers, one for each image')
    if len(images) == 0 or len(images) != N_BATCH and not allow_modified:
        raise ValueError(
            f'{len(images)} images, not {N_BATCH} (--allow-modified takes any '
            'number but 0)')
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            f'labels {labels.min()} to {labels.max()}, not 0 to 9')
    return (numpy.ascontiguousarray(images).reshape(-1, 3, 32, 32),
            labels.astype(numpy.int32))


def _class_names(names):
    if isinstance(names, list):
        names = tuple(pickles.text(name) for name in names)
        if (all(isinstance(name, str) and name.isprintable() and name
                for name in names) and len(set(names)) == len(names) == 10):
            return names
    raise ValueError('its "label_names" are not 10 different texts')
