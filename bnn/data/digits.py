"""scikit-learn's handwritten digits, in the shape of MNIST: no download.

1797 images of 8x8 pixels with values 0 to 16, from E. Alpaydin and C. Kaynak,
"Optical Recognition of Handwritten Digits", UCI, 1998 (its test part).
"""
import numpy

from bnn import errors
from bnn.data import dataset

N_TRAIN = 1437


def load():
    """Loads the digits, scaled to 28x28, 1437 to train and 360 to test.

    The split is fixed: a permutation drawn from a generator of its own.

    Returns:
        bnn.data.Dataset: The data.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets as sklearn_datasets
    except ImportError as error:
        raise errors.UserError(
            'the data set digits needs scikit-learn: '
            f'pip install scikit-learn ({error})') from None

    images, labels = sklearn_datasets.load_digits(return_X_y=True)
    images = enlarge(images.reshape(-1, 8, 8).astype(numpy.int64))
    labels = labels.astype(numpy.int32)
    order = numpy.random.RandomState(0).permutation(len(labels))
    train, test = order[:N_TRAIN], order[N_TRAIN:]
    return dataset.Dataset(
        name='digits', title='digits',
        train_images=images[train], train_labels=labels[train],
        test_images=images[test], test_labels=labels[test],
        class_names=tuple('0123456789'),
        source='scikit-learn (embedded)')


def enlarge(images):
    """Scales 8x8 images to 24x24, bilinearly, and centres them in 28x28.

    Args:
        images (numpy.ndarray): int64, shape ``(n, 8, 8)``, values 0 to 16.

    Returns:
        numpy.ndarray: uint8, shape ``(n, 1, 28, 28)``, values 0 to 255, the
        outer two pixels 0.
    """
    # Pixel o of 24 lies at o/3 - 1/3 on the grid of 8: every weight is a
    # number of thirds, so integers give the same bytes on every machine.
    thirds = numpy.zeros((24, 8), numpy.int64)
    for o in range(24):
        whole, part = divmod(o - 1, 3)
        thirds[o, max(whole, 0)] += 3 - part
        thirds[o, min(whole + 1, 7)] += part
    ninths = thirds @ images @ thirds.T
    full = 9 * 16
    pixels = (ninths * 255 + full // 2) // full
    return numpy.pad(
        pixels.astype(numpy.uint8)[:, None], ((0, 0), (0, 0), (2, 2), (2, 2)))
