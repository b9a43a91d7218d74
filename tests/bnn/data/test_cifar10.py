import gzip
import hashlib
import io
import os
import pickle
import tarfile

import numpy
import pytest

from bnn import data as datasets
from bnn import errors
from bnn.data import batches
from bnn.data import cifar10

ROOT = os.environ.get('CHAINER_DATASET_ROOT', '')
CLASSES = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog',
           'horse', 'ship', 'truck')
BATCHES = (*batches.TRAIN, batches.TEST)


def _arrays():
    random = numpy.random.RandomState(0)
    return {file: (random.randint(0, 256, (n, 3072)).astype(numpy.uint8),
                   random.randint(0, 10, n))
            for n, file in enumerate(BATCHES, 2)}


def _contents(protocol=3, encode=str.encode, labels=list, order='C'):
    """Returns the content of seven small files."""
    contents = {
        file: pickle.dumps({
            encode('batch_label'): encode(file),
            encode('data'): numpy.array(data, order=order),
            encode('labels'): labels(found.tolist())}, protocol)
        for file, (data, found) in _arrays().items()}
    contents[batches.META] = pickle.dumps({
        encode('num_vis'): 3072,
        encode('label_names'): [encode(name) for name in CLASSES]}, protocol)
    return contents


def _change(file, **changes):
    """Returns the content of one file with other values."""
    content = pickle.loads(_contents(encode=str)[file])
    content.update(changes)
    return pickle.dumps(
        {key: value for key, value in content.items() if value is not None})


def _write(folder, contents):
    folder.mkdir(exist_ok=True)
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    return folder


def _member(name, content=b'', **attributes):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in attributes.items():
        setattr(member, key, value)
    return member, content


def _pack(contents, *more, prefix=f'{cifar10.FOLDER}/'):
    """Returns an archive, ``more`` being its first members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode='w') as tar:
        for member, content in more + tuple(
                _member(prefix + file, content)
                for file, content in contents.items()):
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), 1)


@pytest.fixture
def folder(tmp_path):
    return _write(tmp_path / cifar10.FOLDER, _contents())


def _load_own(folder):
    return cifar10.load(folder, allow_modified=True)


def _check_own(data):
    arrays = _arrays()
    train = [arrays[file] for file in batches.TRAIN]
    for got, want in (
            (data.train_images, numpy.concatenate([x for x, _ in train])),
            (data.train_labels, numpy.concatenate([t for _, t in train])),
            (data.test_images, arrays[batches.TEST][0]),
            (data.test_labels, arrays[batches.TEST][1])):
        if got.ndim == 1:
            assert got.dtype == numpy.int32
        else:
            assert got.dtype == numpy.uint8
            want = want.reshape(-1, 3, 32, 32)
        assert got.flags.c_contiguous
        assert got.flags.writeable
        numpy.testing.assert_array_equal(got, want)
    assert data.class_names == CLASSES


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_own_data(tmp_path, protocol):
    for encode, labels, order in (
            (str, list, 'C'), (str.encode, numpy.array, 'F')):
        folder = _write(tmp_path / cifar10.FOLDER,
                        _contents(protocol, encode, labels, order))
        data = datasets.load('cifar10', str(tmp_path), allow_modified=True)
        _check_own(data)
        assert (data.name, data.title) == ('cifar10', 'CIFAR-10')
        assert data.title == datasets.TITLES['cifar10']
        assert data.source == str(folder)
    _check_own(_load_own(folder))


def test_archive(tmp_path):
    path = tmp_path / cifar10.ARCHIVE
    for prefix in '', './':
        path.write_bytes(_pack(
            _contents(), _member('cifar-10-batches-py', type=tarfile.DIRTYPE),
            _member('cifar-10-batches-py/readme.html', b'<html>'),
            prefix=f'{prefix}{cifar10.FOLDER}/'))
        data = _load_own(tmp_path)
        _check_own(data)
        assert data.source == str(path)
        # Nothing is unpacked.
        assert list(tmp_path.iterdir()) == [path]


def test_default_places(tmp_path, monkeypatch):
    monkeypatch.setenv('CHAINER_DATASET_ROOT', str(tmp_path))
    for place in 'pfnet/chainer/cifar', 'cifar10':
        place = tmp_path / place
        place.mkdir(parents=True)
        (place / cifar10.ARCHIVE).write_bytes(_pack(_contents()))
        data = _load_own(None)
        _check_own(data)
        assert data.source == str(place / cifar10.ARCHIVE)
    _write(place / cifar10.FOLDER, _contents())
    assert _load_own(None).source == str(place / cifar10.FOLDER)


def _fails(folder, message, kind=errors.UserError, **kwargs):
    before = {p: p.lstat().st_mtime_ns for p in folder.rglob('*')}
    with pytest.raises(errors.UserError, match=message) as info:
        cifar10.load(folder, **{'allow_modified': True, **kwargs})
    assert type(info.value) is kind
    assert '\n' not in str(info.value)
    assert before == {p: p.lstat().st_mtime_ns for p in folder.rglob('*')}


@pytest.mark.parametrize('file', batches.FILES)
def test_damaged(folder, file, server):
    path = folder / file
    content = path.read_bytes()
    for damaged in (b'', content[:-1], b'<html></html>',
                    pickle.dumps({'data': os.system}), gzip.compress(content)):
        path.write_bytes(damaged)
        _fails(folder, f'{file}: not a pickled batch .*; replace the file')
    path.write_bytes(pickle.dumps({}))
    _fails(folder, f'{file}: its "')
    path.unlink()
    for place in folder, folder.parent:
        _fails(place, f'batches-py lacks {file}: add what is missing',
               mirrors=[server.url + 'good/'])
    assert server.requested == []
    path.mkdir()
    _fails(folder, f'{file} is not a file')


@pytest.mark.parametrize('changes, message', [
    ({'data': None}, 'its "data" is object'),
    ({'data': [1]}, 'its "data" is int'),
    ({'data': numpy.zeros((2, 3072), 'i2')}, 'int16 of shape'),
    ({'data': numpy.zeros((2, 3, 32, 32), 'u1')}, r'\(2, 3, 32, 32\), not'),
    ({'data': numpy.zeros((2, 784), 'u1')}, r'\(2, 784\), not uint8'),
    ({'data': numpy.zeros(3072, 'u1')}, r'\(3072,\), not uint8'),
    ({'data': numpy.zeros((3, 3072), 'u1')}, '"labels" are not 3 integers'),
    ({'data': numpy.zeros((0, 3072), 'u1'), 'labels': numpy.array([], int)},
     '0 images, not 10000'),
    ({'data': numpy.zeros((2, 3072))}, 'other than integers'),
    ({'data': numpy.full((2, 3072), None)}, 'other than integers'),
    *(({'labels': labels}, '"labels" are not 2 integers') for labels in (
        None, [1], [1, '1'], [1, 1.], [1, None], {1: 2}, 'ab',
        numpy.array([[1, 2]]))),
    ({'labels': [1, [2]]}, 'inhomogeneous'),
    ({'labels': None, 'fine_labels': [1, 2]}, '"labels" are not'),
    ({'labels': [1, 10]}, 'labels 1 to 10, not 0 to 9'),
    ({'labels': [-1, 1]}, 'labels -1 to 1, not 0 to 9'),
    ({'labels': numpy.array([1, 200])}, 'labels 1 to 200'),
    ({'batch_label': b'testing batch 1 of 1'}, 'it holds test_batch'),
    ({'batch_label': 'training batch 2 of 5'}, 'it holds data_batch_2'),
    ({'batch_label': 'data_batch_3'}, 'it holds data_batch_3'),
])
def test_wrong_batch(folder, changes, message):
    (folder / 'data_batch_1').write_bytes(_change('data_batch_1', **changes))
    _fails(folder, f'data_batch_1: .*{message}')
    for label in None, b'training batch 1 of 5', 'my own', 7:
        (folder / 'data_batch_1').write_bytes(
            _change('data_batch_1', batch_label=label))
        _check_own(_load_own(folder))


def test_wrong_class_names(folder):
    for names in (None, [], list('abc'), 'abcdefghij', ['a'] * 10, [1] * 10,
                  ['a\n', *'bcdefghij'], ['', *'bcdefghij'],
                  [[], *'bcdefghij']):
        (folder / batches.META).write_bytes(
            _change(batches.META, label_names=names))
        _fails(folder, 'batches.meta: its "label_names" are not 10 different')


def test_sizes(folder, monkeypatch):
    _fails(folder, 'data_batch_1: 2 images, not 10000 .--allow-modified',
           allow_modified=False)
    monkeypatch.setattr(batches, 'MAX_FILE_BYTES', 10_000)
    _fails(folder, 'data_batch_3: more than 10000 bytes')
    (folder.parent / cifar10.ARCHIVE).write_bytes(_pack(_contents()))
    for path in folder.iterdir():
        path.unlink()
    _fails(folder.parent, 'data_batch_3: more than 10000 bytes')


def test_other_members_are_passed_over(tmp_path):
    folder = tmp_path / 'inner'
    folder.mkdir()
    link = {'type': tarfile.SYMTYPE, 'linkname': '../secret'}
    (folder / cifar10.ARCHIVE).write_bytes(_pack(_contents(), *(
        _member(name, b'x') for name in (
            '../outside', '/tmp/outside', 'test_batch',
            'cifar-10-batches-py/../../test_batch',
            '../cifar-10-batches-py/test_batch',
            '/cifar-10-batches-py/test_batch',
            'cifar-10-batches-py/sub/test_batch')), _member('link', **link),
        *(_member('cifar-10-batches-py/test_batch', type=kind)
          for kind in (tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE)),
        _member('cifar-10-batches-py/test_batch', **link)))
    _check_own(_load_own(folder))
    assert [p.name for p in tmp_path.rglob('*')] == ['inner', cifar10.ARCHIVE]


@pytest.mark.parametrize('damage, message', [
    (lambda d: b'', 'tar'),
    (lambda d: b'<html></html>', 'gzip'),
    (lambda d: gzip.decompress(d), 'damaged gzip data'),
    (lambda d: gzip.compress(b'text'), 'tar'),
    (lambda d: gzip.compress(bytes(2048)), 'lacks data_batch_1, '),
    (lambda d: gzip.compress(gzip.decompress(d)[:5000]), 'tar'),
    (lambda d: d[:-8] + bytes(8), 'damaged gzip data .CRC'),
    (lambda d: _pack({f: c for f, c in _contents().items()
                      if f != batches.META}), 'lacks batches.meta; delete'),
    (lambda d: _pack(_contents(), prefix='cifar-100-python/'), 'lacks'),
    (lambda d: _pack(_contents(), _member(
        'cifar-10-batches-py/test_batch', b'x')), 'test_batch: not a pickled'),
])
def test_damaged_archive(tmp_path, damage, message):
    (tmp_path / cifar10.ARCHIVE).write_bytes(damage(_pack(_contents())))
    _fails(tmp_path, f'{cifar10.ARCHIVE}: .*{message}')
    _fails(tmp_path, f'{cifar10.ARCHIVE}: its MD5 is .*, not the published '
           f'{cifar10.MD5}; delete the file .*--allow-modified',
           allow_modified=False)


def test_archive_truncated_at_many_lengths(tmp_path):
    data = _pack(_contents())
    for n in [*range(0, 40), *range(40, len(data), 3001),
              *range(len(data) - 12, len(data))]:
        (tmp_path / cifar10.ARCHIVE).write_bytes(data[:n])
        _fails(tmp_path, f'{cifar10.ARCHIVE}: damaged')


@pytest.fixture
def published(server, monkeypatch):
    """Serves a small archive as if it were the published one."""
    data = _pack(_contents())
    server.files[cifar10.ARCHIVE] = data
    monkeypatch.setattr(cifar10, 'MD5', hashlib.md5(data).hexdigest())
    parse = batches.parse

    def parse_any(file, data, allow_modified):
        assert not allow_modified
        return parse(file, data, True)

    monkeypatch.setattr(batches, 'parse', parse_any)
    return server


def test_download(published, tmp_path, monkeypatch):
    target = tmp_path / 'new'
    mirrors = [published.url + name + '/' for name in ('wrong', 'good')]
    data = cifar10.load(target, mirrors=mirrors)
    _check_own(data)
    assert data.source == str(target / cifar10.ARCHIVE)
    assert [p.name for p in target.iterdir()] == [cifar10.ARCHIVE]
    asked = len(published.requested)
    _check_own(cifar10.load(target, mirrors=mirrors))
    assert len(published.requested) == asked == 2
    # To the first of the places
    monkeypatch.setenv('CHAINER_DATASET_ROOT', str(tmp_path))
    data = cifar10.load(mirrors=mirrors)
    assert data.source == str(tmp_path / 'cifar10' / cifar10.ARCHIVE)


def test_no_download(server, tmp_path):
    server.files[cifar10.ARCHIVE] = _pack(_contents())
    target = tmp_path / 'new'
    target.mkdir()
    _fails(target, 'delivers other data .*MD5',
           mirrors=[server.url + 'good/'])
    assert list(target.iterdir()) == []
    _fails(target, 'CIFAR-10: cifar-10-python.tar.gz is not in .*cannot be '
           'downloaded .*absent.*404.*place it, or the folder cifar-10-batches'
           '-py, there', datasets.UnavailableError,
           mirrors=[server.url + 'absent/'])
    assert len(cifar10.MIRRORS) > 1
    assert all(url.startswith('https://') and url.endswith('/')
               for url in cifar10.MIRRORS)


@pytest.mark.skipif(
    not any(os.path.exists(os.path.join(ROOT, 'cifar10', name)) for name in (
        'cifar-10-batches-py', 'cifar-10-python.tar.gz')),
    reason='CHAINER_DATASET_ROOT points to no folder with cifar10/'
    'cifar-10-batches-py or the archive')
def test_real():
    data = datasets.load('cifar10')
    assert data.train_images.shape == (50000, 3, 32, 32)
    assert data.test_images.shape == (10000, 3, 32, 32)
    numpy.testing.assert_array_equal(
        numpy.bincount(data.train_labels), [5000] * 10)
    numpy.testing.assert_array_equal(
        numpy.bincount(data.test_labels), [1000] * 10)
    assert data.class_names == CLASSES
    assert data.source.startswith(
        os.path.abspath(os.path.join(ROOT, 'cifar10')))
    # Published: 0.4914, 0.4822, 0.4465; 1/255 for other pixels
    numpy.testing.assert_allclose(
        [data.train_images[:, c].mean() for c in range(3)],
        [125.3, 123., 113.9], atol=1)
