import sys

import numpy
import pytest

from bnn import data as datasets
from bnn import errors
from bnn.data import digits


def test_load():
    before = numpy.random.get_state()
    data = digits.load()
    assert data.digest == '355aeabf59e0ead820bab7ac7a06f49228781722'
    assert data.train_images.shape == (1437, 1, 28, 28)
    assert data.test_images.shape == (360, 1, 28, 28)
    for images, labels in ((data.train_images, data.train_labels),
                           (data.test_images, data.test_labels)):
        assert images.dtype == numpy.uint8
        assert images.flags.c_contiguous
        assert (images.min(), images.max()) == (0, 255)
        assert labels.dtype == numpy.int32
        assert labels.shape == images.shape[:1]
        assert set(labels.tolist()) == set(range(10))
    assert data.class_names == tuple('0123456789')
    assert (data.name, data.title) == ('digits', 'digits')
    assert data.source == 'scikit-learn (embedded)'
    # The global generator is not touched.
    after = numpy.random.get_state()
    assert before[2:] == after[2:]
    numpy.testing.assert_array_equal(before[1], after[1])

    # Nearest mean: the labels belong to the images, and the scaled images
    # still show what the small ones do.
    train = data.train_images.reshape(-1, 784).astype(float)
    test = data.test_images.reshape(-1, 784).astype(float)
    means = numpy.stack([
        train[data.train_labels == k].mean(axis=0) for k in range(10)])
    distances = ((test[:, None] - means) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == data.test_labels).mean() > .85


def test_enlarge():
    image = numpy.zeros((1, 8, 8), numpy.int64)
    image[0, 0, 0] = 16
    big = digits.enlarge(image)
    assert big.dtype == numpy.uint8
    # Full in the corner, then falling by thirds: 255 * (2/3, 1/3, 0)
    numpy.testing.assert_array_equal(
        big[0, 0, 2, :8], [0, 0, 255, 255, 170, 85, 0, 0])
    numpy.testing.assert_array_equal(big, big.swapaxes(2, 3))
    full = digits.enlarge(numpy.full((1, 8, 8), 16))[0, 0]
    assert (full[2:-2, 2:-2] == 255).all()
    assert full.sum() == 24 * 24 * 255


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn', None)
    with pytest.raises(errors.UserError, match='pip install scikit-learn'):
        datasets.load('digits')
