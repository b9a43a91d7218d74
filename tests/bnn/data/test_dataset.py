import dataclasses
import pathlib
import subprocess
import sys

import numpy
import pytest

from bnn import data as datasets
from bnn import errors

ROOT = pathlib.Path(__file__).parents[3]


def _make(**changes):
    return dataclasses.replace(datasets.Dataset(
        'own', 'Own',
        numpy.zeros((3, 1, 28, 28), numpy.uint8),
        numpy.arange(3, dtype=numpy.int32),
        numpy.zeros((2, 1, 28, 28), numpy.uint8),
        numpy.arange(2, dtype=numpy.int32), ('a', 'b', 'c'), 'here'),
        **changes)


def test_digest():
    one_pixel = numpy.zeros((3, 1, 28, 28), numpy.uint8)
    one_pixel[2, 0, 27, 27] = 1
    digests = {
        _make().digest,
        _make(train_images=one_pixel).digest,
        _make(train_labels=numpy.array([0, 2, 1], numpy.int32)).digest,
        _make(test_labels=numpy.array([1, 0], numpy.int32)).digest,
        # The same bytes, divided otherwise
        _make(train_images=numpy.zeros((2, 1, 28, 28), numpy.uint8),
              test_images=numpy.zeros((3, 1, 28, 28), numpy.uint8)).digest}
    assert len(digests) == 5
    assert all(len(digest) == 40 for digest in digests)
    # The values count, not their layout.
    assert _make().digest == _make(
        train_labels=numpy.arange(3, dtype='>i4'), source='there',
        train_images=numpy.zeros((6, 1, 28, 28), numpy.uint8)[::2]).digest


def test_parts():
    data = _make()
    assert len(repr(data)) < 200
    assert len(data.head(1).train_images) == len(data.head(1).test_labels) == 1
    split = data.with_validation(1)
    assert split.train_labels.tolist() == [0, 1]
    assert split.validation_labels.tolist() == [2]
    assert len(split.validation_images) == 1


def test_names():
    assert datasets.NAMES == ('mnist', 'fashion-mnist', 'digits')
    assert datasets.CIFAR_NAMES == ('cifar10',)
    assert datasets.IMAGENET_NAMES == ('imagenet',)
    assert tuple(datasets.TITLES) == (
        datasets.NAMES + datasets.CIFAR_NAMES + datasets.IMAGENET_NAMES
        + datasets.PICTURE_NAMES)
    assert set(datasets.TITLES) == set(datasets.STATISTICS) == {
        *datasets.SHAPES, *datasets.PICTURE_NAMES}
    with pytest.raises(errors.UserError, match="'cats': choose one of mnist,"):
        datasets.load('cats')


def test_needs_no_chainer():
    subprocess.run(
        [sys.executable, '-c', 'import sys, bnn.data; '
         'assert not {"chainer", "sklearn"} & set(sys.modules)'],
        cwd=ROOT, check=True)
