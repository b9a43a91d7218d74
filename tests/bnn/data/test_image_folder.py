import dataclasses
import os
import shutil

import numpy
import pytest

from bnn import data as datasets
from bnn import errors
from bnn.data import image_folder


def _level(image):
    return image[0, 0, 0]


def test_load(picture_folder):
    before = numpy.random.get_state()[1].copy()
    data = datasets.load('imagenet', f'{picture_folder}/', workers=2)
    numpy.testing.assert_array_equal(before, numpy.random.get_state()[1])
    assert (data.name, data.title) == ('imagenet', 'images in pets')
    assert data.class_names == ('cat', 'dog')
    assert data.source == str(picture_folder)
    for images, labels, n in (
            (data.train_images, data.train_labels, 12),
            (data.test_images, data.test_labels, 4)):
        assert images.shape == (n, 3, 256, 256)
        assert images.dtype == numpy.uint8
        assert labels.dtype == numpy.int32
        pixels = images[range(n)]
        assert pixels.shape == images.shape
        # Each picture is there once, with its label.
        levels = pixels[:, 0, 0, 0] // 10
        assert sorted(levels) == list(range(n))
        assert labels.tolist() == (levels >= n // 2).tolist()
    assert len(repr(dataclasses.replace(data, source=''))) < 200


def test_order_is_fixed_and_mixed(picture_folder, tmp_path):
    copy = shutil.copytree(picture_folder, tmp_path / 'copy')
    data, other = (
        image_folder.load(str(f)) for f in (picture_folder, copy))
    assert data.train_labels.tolist() == other.train_labels.tolist()
    numpy.testing.assert_array_equal(
        data.train_images[[0, 5]], other.train_images[[0, 5]])
    for labels in data.train_labels[:6], data.train_labels[6:]:
        assert set(labels) == {0, 1}


def test_parts(picture_folder):
    data = image_folder.load(str(picture_folder))
    head = data.head(3)
    assert (head.train_images.shape, head.test_images.shape) == (
        (3, 3, 256, 256),) * 2
    numpy.testing.assert_array_equal(
        head.train_images[range(3)], data.train_images[range(3)])
    split = data.with_validation(5)
    assert split.train_images.shape[0] == len(split.train_labels) == 7
    assert split.validation_images.shape[0] == len(
        split.validation_labels) == 5
    levels = [_level(image) // 10 for part in (
        split.train_images, split.validation_images) for image in part]
    assert sorted(levels) == list(range(12))


def test_digest(picture_folder, tmp_path, monkeypatch):
    def load(folder=picture_folder):
        return image_folder.load(str(folder))

    # No picture is read, so that these need not be any.
    for path in picture_folder.rglob('*.png'):
        path.write_bytes(bytes(int(path.stem)))
    monkeypatch.setattr(image_folder.pictures.decoding, 'decode', None)
    data = load()
    # What it was in earlier versions, whose snapshots hold it
    first = '305fa9244c497a3930969593fcb5cad2843c200f'
    assert data.digest == load().digest == first
    copy = shutil.copytree(picture_folder, tmp_path / 'elsewhere')
    assert load(copy).digest == first
    digests = {first, data.head(3).digest, data.with_validation(2).digest}
    path = picture_folder / 'val' / 'cat' / '00.png'
    path.write_bytes(path.read_bytes() + b'.')
    os.utime(path.parent)
    digests.add(load().digest)
    path.rename(path.with_name('0.png'))
    digests.add(load().digest)
    path.with_name('0.png').rename(path.parents[1] / 'dog' / '0.png')
    digests.add(load().digest)
    assert len(digests) == 6


def test_broken_picture(picture_folder, capsys):
    path = picture_folder / 'train' / 'cat' / '03.png'
    path.write_text('no picture')
    data = image_folder.load(str(picture_folder))
    images, kept = data.train_images.read(range(12))
    assert len(images) == kept.sum() == 11
    assert sorted(data.train_labels[kept]) == [0] * 5 + [1] * 6
    assert capsys.readouterr().err == (
        f'warning: left out {path}: not a picture\n')
    # The other part has none.
    assert len(data.train_images.broken) == 1
    assert len(data.test_images.broken) == 0


def test_default_folder(picture_folder, monkeypatch):
    monkeypatch.setenv('CHAINER_DATASET_ROOT', str(picture_folder.parent))
    with pytest.raises(
            datasets.UnavailableError, match='there is no .*/imagenet/train:'):
        datasets.load('imagenet')
    picture_folder.rename(picture_folder.parent / 'imagenet')
    assert datasets.load('imagenet').title == 'images in imagenet'


def test_workers(picture_folder):
    for workers, want in (1, 1), (5, 5), (None, image_folder._cores()):
        data = image_folder.load(str(picture_folder), workers)
        pool = data.train_images._pool
        assert pool is data.test_images._pool
        assert pool._max_workers == want


def _remove(*names):
    def remove(folder):
        for name in names:
            shutil.rmtree(folder / name)

    return remove


@pytest.mark.parametrize('change, error, match', [
    (_remove('train', 'val'), datasets.UnavailableError,
     '^there is no .*/pets/train: the folder must hold train/<class>/. and'),
    (_remove('train'), errors.UserError, '^there is no .*/pets/train: '),
    (_remove('val'), errors.UserError, '^there is no .*/pets/val: '),
    (_remove('val/cat', 'val/dog'), errors.UserError,
     'the same classes, but only one of them has cat and 1 more$'),
    (_remove('train/cat', 'train/dog'), errors.UserError,
     '/pets/train has 0 folders of classes, not 2 or more: pictures must'),
    (_remove('train/cat', 'val/cat'), errors.UserError, 'has 1 folders'),
    (_remove('val/dog'), errors.UserError,
     '/pets: train and val must have .* one of them has dog$'),
    (lambda folder: [(folder / f'val/fox{i}').mkdir() for i in range(3)],
     errors.UserError, 'one of them has fox0 and 2 more$'),
    (lambda folder: (shutil.rmtree(folder), folder.write_text('file')),
     errors.UserError, '/pets is not a folder$')])
def test_bad_folder(picture_folder, change, error, match):
    change(picture_folder)
    with pytest.raises(error, match=match) as info:
        image_folder.load(str(picture_folder))
    assert type(info.value) is error
    assert '\n' not in str(info.value)
