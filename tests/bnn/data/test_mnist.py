import gzip
import os
import struct

import numpy
import pytest

from bnn import data as datasets
from bnn import errors
from bnn.data import mnist
from bnn.deploy import pictures

ROOT = os.environ.get('CHAINER_DATASET_ROOT', '')


def _pack(array):
    return struct.pack(f'>HBB{array.ndim}I', 0, 8, array.ndim,
                       *array.shape) + array.astype(numpy.uint8).tobytes()


def _arrays(n_train=5, n_test=3):
    random = numpy.random.RandomState(0)
    return [array for n in (n_train, n_test) for array in (
        random.randint(0, 256, (n, 28, 28)), random.randint(0, 10, n))]


@pytest.fixture
def folder(tmp_path):
    for file, array in zip(mnist.FILES, _arrays(), strict=True):
        (tmp_path / f'{file}.gz').write_bytes(gzip.compress(_pack(array)))
    return tmp_path


def _load_own(folder, name='mnist'):
    return mnist.load(name, folder, allow_modified=True)


def _check_own(data):
    arrays = _arrays()
    for got, want in ((data.train_images, arrays[0][:, None]),
                      (data.train_labels, arrays[1]),
                      (data.test_images, arrays[2][:, None]),
                      (data.test_labels, arrays[3])):
        assert got.dtype == (numpy.uint8 if got.ndim == 4 else numpy.int32)
        assert got.flags.c_contiguous
        numpy.testing.assert_array_equal(got, want)


def test_own_data(folder):
    for name in 'mnist', 'fashion-mnist':
        data = datasets.load(name, str(folder), allow_modified=True)
        _check_own(data)
        assert data.name == name
        assert data.title == datasets.TITLES[name] == mnist.FACTS[name].title
        assert len(set(data.class_names)) == 10
        assert data.source == str(folder)


def test_spellings(folder):
    # The content decides, not the suffix.
    for i, file in enumerate(mnist.FILES):
        old = folder / f'{file}.gz'
        content = old.read_bytes()
        old.unlink()
        (folder / (file.replace('-idx', '.idx') + '.gz' * (i % 2))
         ).write_bytes(gzip.decompress(content) if i < 2 else content)
    _check_own(_load_own(folder))


def test_default_folders(folder, monkeypatch):
    monkeypatch.setenv('CHAINER_DATASET_ROOT', str(folder.parent))
    folder.rename(folder.parent / 'fashion-mnist')
    _check_own(_load_own(None, 'fashion-mnist'))

    home = folder.parent / 'home'
    (home / '.chainer' / 'dataset').mkdir(parents=True)
    (folder.parent / 'fashion-mnist').rename(
        home / '.chainer' / 'dataset' / 'mnist')
    monkeypatch.delenv('CHAINER_DATASET_ROOT')
    monkeypatch.setenv('HOME', str(home))
    monkeypatch.setenv('USERPROFILE', str(home))
    _check_own(_load_own(None))
    _check_own(_load_own('~/.chainer/dataset/mnist'))


def _fails(folder, message, kind=errors.UserError, **kwargs):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob('*')}
    kwargs = {'name': 'mnist', 'allow_modified': True} | kwargs
    with pytest.raises(errors.UserError, match=message) as info:
        mnist.load(data_dir=str(folder), **kwargs)
    assert type(info.value) is kind
    assert '\n' not in str(info.value)
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob('*')}


def test_modified_is_refused(folder):
    _fails(folder, 'train-images.*holds other data, not train-images.*as publ'
           '.*delete the file.*--allow-modified', allow_modified=False)
    _fails(folder, 'has 5 examples, not 60000.*--allow-modified',
           name='fashion-mnist', allow_modified=False)


def test_wrong_content(folder):
    for i, content, message in (
            (0, b'', 'not IDX of images'),
            (1, b'<html></html>', 'not IDX of labels'),
            (1, _pack(numpy.zeros((5, 28, 28))), 'not IDX of labels'),
            (2, gzip.compress(_pack(_arrays()[2]))[:-9], 'damaged gzip data'),
            (2, gzip.compress(_pack(_arrays()[2]) + b'0'), 'too long'),
            (2, _pack(numpy.zeros((3, 32, 32))), 'are 32x32, not 28x28'),
            (2, _pack(numpy.zeros((0, 28, 28))), 'it is empty'),
            (3, _pack(numpy.array([0, 1, 10])), 'label 10 is not in 0 to 9')):
        path = folder / f'{mnist.FILES[i]}.gz'
        before = path.read_bytes()
        path.write_bytes(content)
        _fails(folder, f'{path.name}: .*{message}.*; delete the file to down')
        path.write_bytes(before)
    path = folder / f'{mnist.FILES[1]}.gz'
    path.write_bytes(_pack(numpy.zeros(4)))
    _fails(folder, '5 images in train-images.*, but 4 labels in train-labels')


def test_not_a_file(folder, monkeypatch):
    path = folder / f'{mnist.FILES[0]}.gz'
    with pytest.raises(errors.UserError, match='gz is not a folder'):
        _load_own(path)
    with monkeypatch.context() as patch:
        def refuse(*args):
            raise PermissionError(13, 'Permission denied')

        patch.setattr(mnist.folders, 'open', refuse, raising=False)
        _fails(folder, 'cannot read .*train-images.*: Permission denied')
    path.unlink()
    path.mkdir()
    _fails(folder, f'{path.name} is not a file')
    path.rmdir()
    if hasattr(os, 'mkfifo'):
        os.mkfifo(path)
        _fails(folder, f'{path.name} is not a file')


def test_when_nothing_is_downloaded(folder, server):
    # Own data is not completed; what is damaged is told first.
    (folder / f'{mnist.FILES[3]}.gz').unlink()
    _fails(folder, 'lacks t10k-labels-idx1-ubyte: ', mirrors=[server.url])
    _fails(folder, 'train-images.*holds other data', mirrors=[server.url],
           allow_modified=False)
    assert server.requested == []


def test_download_of_other_data(tmp_path, server):
    server.files = {f'{file}.gz': gzip.compress(_pack(array))
                    for file, array in zip(mnist.FILES, _arrays(),
                                           strict=True)}
    target = tmp_path / 'new'
    for name, reason in (('mnist', 'it holds other data'),
                         ('fashion-mnist', 'its MD5 is not')):
        with pytest.raises(errors.UserError, match=(
                f'cannot be downloaded .*delivers other data .{reason}')) as e:
            mnist.load(name, target, mirrors=[server.url + 'good/'])
        assert type(e.value) is errors.UserError
        assert list(target.iterdir()) == []


def test_unavailable(tmp_path, server):
    _fails(tmp_path, 'MNIST: train-images-idx3-ubyte.gz is not in .*cannot be '
           'downloaded .*absent.*404.*place the four files.*--dataset digits',
           datasets.UnavailableError, mirrors=[server.url + 'absent/'],
           allow_modified=False)
    for facts in mnist.FACTS.values():
        assert all(url.startswith('https://') and url.endswith('/')
                   for url in facts.mirrors)


@pytest.fixture(scope='module')
def data():
    return datasets.load('mnist')


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(ROOT, 'mnist')),
    reason='CHAINER_DATASET_ROOT points to no folder with mnist/')
class TestRealMNIST:

    def test_load(self, data):
        assert data.train_images.shape == (60000, 1, 28, 28)
        assert data.test_images.shape == (10000, 1, 28, 28)
        numpy.testing.assert_array_equal(
            data.train_labels[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
        numpy.testing.assert_array_equal(
            numpy.bincount(data.test_labels),
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
        assert data.digest == 'e014dc2054d27191eddec670cddde9246e8e91ed'
        assert data.source == os.path.abspath(os.path.join(ROOT, 'mnist'))

    def test_place(self, data):
        x = data.train_images[:, 0]
        for axis in (1, 2):
            mass = x.sum(axis=axis, dtype=numpy.float64)
            centres = mass @ numpy.arange(28) / mass.sum(axis=1)
            assert centres.mean() == pytest.approx(pictures.CENTRE, abs=.01)
            sides = (x.max(axis=axis) > 0).sum(axis=1)
            assert sides.max() == pictures.BOX

    def test_download(self, data, tmp_path, server):
        for file, array in zip(mnist.FILES, (
                data.train_images[:, 0], data.train_labels,
                data.test_images[:, 0], data.test_labels), strict=True):
            server.files[f'{file}.gz'] = gzip.compress(_pack(array), 1)
        target = tmp_path / 'new'
        mirrors = [server.url + name + '/' for name in ('wrong', 'good')]
        got = mnist.load('mnist', target, mirrors=mirrors)
        assert got.digest == data.digest
        assert sorted(p.name for p in target.iterdir()) == sorted(server.files)
        asked = len(server.requested)
        assert mnist.load('mnist', target).digest == data.digest
        assert len(server.requested) == asked

    def test_exchanged(self, data, tmp_path):
        path = tmp_path / mnist.FILES[0]
        path.write_bytes(_pack(data.test_images[:, 0]))
        for name in mnist.FACTS:
            _fails(tmp_path, 'it holds t10k-images-idx3-ubyte of MNIST, not '
                   f'train-.* of {datasets.TITLES[name]}', name=name,
                   allow_modified=False)
