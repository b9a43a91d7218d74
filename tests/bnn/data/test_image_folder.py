import dataclasses
import shutil

import numpy
import pytest
from PIL import Image

from bnn import data as datasets
from bnn import errors
from bnn.data import image_folder


def _level(image):
    return image[0, 0, 0]


def test_load(picture_folder):
    before = numpy.random.get_state()[1].copy()
    data = datasets.load('imagenet', f'{picture_folder}/', workers=2)
    numpy.testing.assert_array_equal(before, numpy.random.get_state()[1])
    assert (data.name, data.title) == ('imagenet', 'pictures of pets')
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
    assert datasets.load('imagenet').title == 'pictures of imagenet'


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
    (_remove('train/cat', 'val/cat'), errors.UserError, 'has 1 folder of'),
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


# ---- own pictures

SHAPE = 1, 5, 4


def _load_own(folder, shape=SHAPE):
    return datasets.load('pictures', str(folder), shape=shape)


def _flat(folder):
    """Makes the first layout of the second: 8 pictures in each class."""
    for path in (folder / 'val').rglob('*.png'):
        path.rename(folder / 'train' / path.parent.name / f'v{path.name}')
    shutil.rmtree(folder / 'val')
    return folder / 'train'


@pytest.mark.parametrize('n_bytes', (16 * 20, 16 * 20 - 1))
def test_own_is_held_or_read(picture_folder, monkeypatch, n_bytes):
    monkeypatch.setattr(image_folder, 'HELD_BYTES', n_bytes)
    data = _load_own(picture_folder)
    assert (data.name, data.title, data.class_names, data.source) == (
        'pictures', 'pictures of pets', ('cat', 'dog'), str(picture_folder))
    for images, labels, n in (
            (data.train_images, data.train_labels, 12),
            (data.test_images, data.test_labels, 4)):
        assert isinstance(images, numpy.ndarray) == (n_bytes == 320)
        assert images.shape == (n, *SHAPE)
        assert labels.dtype == numpy.int32
        levels = images[numpy.arange(n)][:, 0, 0, 0] // 10
        assert sorted(levels) == list(range(n))
        assert labels.tolist() == (levels >= n // 2).tolist()


def test_own_parts(picture_folder):
    """test comes before val; without train both are classes."""
    shutil.copytree(picture_folder / 'val', picture_folder / 'test')
    (picture_folder / 'test' / 'cat' / '00.png').unlink()
    assert len(_load_own(picture_folder).test_labels) == 3
    (picture_folder / 'train').rename(picture_folder / 'plane')
    for part in 'plane', 'test', 'val':
        Image.new('L', (3, 3)).save(picture_folder / part / '0.png')
        Image.new('L', (3, 3)).save(picture_folder / part / '1.png')
    assert _load_own(picture_folder).class_names == ('plane', 'test', 'val')


def test_own_split(picture_folder):
    folder = _flat(picture_folder)
    data, again = _load_own(folder), _load_own(folder)
    assert data.digest == again.digest
    # A fifth of each class of 8, rounded down
    assert sorted(data.test_labels) == [0, 1]
    assert sorted(data.train_labels) == [0] * 7 + [1] * 7
    expected = sorted([10 * i for i in range(12)] + [0, 10, 20, 30])
    levels = [_level(image) for part in (data.train_images, data.test_images)
              for image in part]
    assert sorted(levels) == expected
    assert data.train_labels.tolist() != sorted(data.train_labels)


def test_own_broken(picture_folder, capsys):
    path = picture_folder / 'train' / 'cat' / '03.png'
    path.write_text('no picture')
    data = _load_own(picture_folder)
    assert data.train_images.shape == (11, *SHAPE)
    levels = data.train_images[:, 0, 0, 0] // 10
    assert data.train_labels.tolist() == (levels >= 6).tolist()
    assert capsys.readouterr().err == (
        f'warning: left out {path}: not a picture\n')


def _break(*names):
    def change(folder):
        for name in names:
            for path in (folder / name).glob('*.png'):
                path.write_text('no picture')

    return change


def _one(folder):
    for path in sorted((_flat(folder) / 'cat').iterdir())[1:]:
        path.unlink()
    shutil.move(folder / 'train' / 'cat', folder)
    shutil.move(folder / 'train' / 'dog', folder)
    shutil.rmtree(folder / 'train')


@pytest.mark.parametrize('change, match', [
    (shutil.rmtree, '^there is no .*/pets: it must hold a folder'),
    (_remove('train', 'val'), '/pets has 0 folders of classes, not 2'),
    (_remove('val'), '/pets has train, but no test: .*/pets/test/<cl'),
    (_remove('train/cat'), '/pets/train has 1 folder of'),
    (_remove('val/dog'), 'train and val must have the same classes'),
    (_remove('train'), '/pets has 1 folder of .* must lie in .*/pets/<cl'),
    (lambda folder: (folder / 'train' / 'cat').rename(folder / 'train/x'),
     'only one of them has cat and 1 more'),
    (lambda folder: [path.rename(path.with_suffix('.txt'))
                     for path in (folder / 'train/cat').iterdir()],
     '/pets/train/cat has no pictures'),
    (_one, '/pets/cat has 1 picture, not 2 or more'),
    (_break('train/cat'), '/pets: all pictures of cat to train on'),
    (_break('train/cat', 'train/dog'), '11 of the|12 of the 12 pictures'),
    (lambda folder: (shutil.rmtree(folder), folder.write_text('file')),
     '/pets is not a folder$')])
def test_own_bad_folder(picture_folder, change, match):
    change(picture_folder)
    with pytest.raises(errors.UserError, match=match) as info:
        _load_own(picture_folder)
    assert '\n' not in str(info.value)


def test_own_needs_a_folder():
    with pytest.raises(errors.UserError, match='name the folder .* --data'):
        datasets.load('pictures', shape=SHAPE)


def test_statistics():
    for channels in 1, 3:
        for numbers in datasets.statistics('pictures', channels):
            assert len(numbers) == channels
    assert datasets.statistics('mnist', 1) is datasets.STATISTICS['mnist']


def test_check_classes(picture_folder):
    data = _load_own(picture_folder)
    data.check_classes(['cat', 'dog'], 'x.bnn')
    for names in ('dog', 'cat'), ('cat', 'dog', 'fox'), ():
        with pytest.raises(errors.UserError, match='2 classes, cat, dog, '
                           f'but x.bnn is of {len(names)} classes'):
            data.check_classes(names, 'x.bnn')
