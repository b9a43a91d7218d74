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


def _contents(protocol=3, encode=str.encode, labels=list):
    """Returns the content of seven small files."""
    contents = {
        file: pickle.dumps({
            encode('batch_label'): encode(file), encode('data'): data,
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
@pytest.mark.parametrize('encode', [str, str.encode])
@pytest.mark.parametrize('labels', [list, numpy.array])
def test_own_data(tmp_path, protocol, encode, labels):
    folder = _write(tmp_path / cifar10.FOLDER,
                    _contents(protocol, encode, labels))
    data = datasets.load('cifar10', str(tmp_path), allow_modified=True)
    _check_own(data)
    assert (data.name, data.title) == ('cifar10', 'CIFAR-10')
    assert data.title == datasets.TITLES['cifar10']
    assert data.source == str(folder)


def test_names():
    assert 'cifar10' not in datasets.NAMES
    assert datasets.CIFAR_NAMES == ('cifar10',)


def test_folder_of_the_batches_itself(folder):
    _check_own(_load_own(folder))


@pytest.mark.parametrize('prefix', ['', './'])
def test_archive(tmp_path, prefix):
    path = tmp_path / cifar10.ARCHIVE
    path.write_bytes(_pack(
        _contents(), _member('cifar-10-batches-py', type=tarfile.DIRTYPE),
        _member('cifar-10-batches-py/readme.html', b'<html>'),
        prefix=f'{prefix}{cifar10.FOLDER}/'))
    data = _load_own(tmp_path)
    _check_own(data)
    assert data.source == str(path)
    # Nothing is unpacked
    assert list(tmp_path.iterdir()) == [path]


def test_default_places(tmp_path, monkeypatch):
    monkeypatch.setenv('CHAINER_DATASET_ROOT', str(tmp_path))
    chainers = tmp_path / 'pfnet' / 'chainer' / 'cifar'
    chainers.mkdir(parents=True)
    (chainers / cifar10.ARCHIVE).write_bytes(_pack(_contents()))
    data = _load_own(None)
    _check_own(data)
    assert data.source == str(chainers / cifar10.ARCHIVE)

    ours = tmp_path / 'cifar10'
    ours.mkdir()
    (ours / cifar10.ARCHIVE).write_bytes(_pack(_contents()))
    assert _load_own(None).source == str(ours / cifar10.ARCHIVE)
    _write(ours / cifar10.FOLDER, _contents())
    assert _load_own(None).source == str(ours / cifar10.FOLDER)


def _fails(folder, message, kind=datasets.CorruptError, **kwargs):
    before = {p: p.lstat().st_mtime_ns for p in folder.rglob('*')}
    with pytest.raises(errors.UserError, match=message) as info:
        cifar10.load(folder, **{'allow_modified': True, **kwargs})
    assert type(info.value) is kind
    assert '\n' not in str(info.value)
    assert before == {p: p.lstat().st_mtime_ns for p in folder.rglob('*')}


def test_counts(folder):
    _fails(folder, 'data_batch_1: 2 images, not 10000 .--allow-modified',
           allow_modified=False)


@pytest.mark.parametrize('file', batches.FILES)
def test_missing(folder, server, file):
    (folder / file).unlink()
    for place in folder, folder.parent:
        _fails(place, f'batches-py lacks {file}: add what is missing',
               mirrors=[server.url + 'good/'])
    assert server.requested == []


@pytest.mark.parametrize('file', batches.FILES)
@pytest.mark.parametrize('damage, message', [
    (lambda d: b'', 'empty'),
    (lambda d: d[:-1], 'truncated'),
    (lambda d: d[:50], 'truncated'),
    (lambda d: d + b'\0', 'goes on after'),
    (lambda d: b'<html></html>', 'not a pickle'),
    (lambda d: pickle.dumps([1]), 'no dictionary'),
    (lambda d: pickle.dumps({}), 'it has no'),
    (lambda d: pickle.dumps({'data': os.system}), 'system, which no batch'),
    (lambda d: gzip.compress(d), 'not a pickle'),
])
def test_corrupt(folder, file, damage, message):
    path = folder / file
    path.write_bytes(damage(path.read_bytes()))
    _fails(folder, f'{file}: .*{message}.*; replace the file')


def test_truncated_at_many_lengths(folder):
    content = (folder / batches.TEST).read_bytes()
    for n in range(1, len(content), 97):
        (folder / batches.TEST).write_bytes(content[:n])
        _fails(folder, 'test_batch: truncated')


@pytest.mark.parametrize('changes, message', [
    ({'data': None}, 'no array "data"'),
    ({'data': [1]}, 'no array "data"'),
    ({'data': numpy.zeros((2, 3072), 'i2')}, 'int16 of shape'),
    ({'data': numpy.zeros((2, 3, 32, 32), 'u1')}, r'\(2, 3, 32, 32\), not'),
    ({'data': numpy.zeros((2, 784), 'u1')}, r'\(2, 784\), not uint8'),
    ({'data': numpy.zeros(3072, 'u1')}, r'\(3072,\), not uint8'),
    ({'data': numpy.zeros((3, 3072), 'u1')}, '3 images but 2 labels'),
    ({'data': numpy.zeros((0, 3072), 'u1'), 'labels': []}, 'no images|array'),
    ({'data': numpy.zeros((2, 3072))}, 'other than integers'),
    ({'data': numpy.full((2, 3072), None)}, 'other than integers'),
    ({'labels': None}, 'no list "labels"'),
    ({'labels': None, 'fine_labels': [1, 2]}, 'no list "labels"'),
    ({'labels': (1, 2)}, 'no list "labels"'),
    ({'labels': [1]}, '2 images but 1 labels'),
    ({'labels': [1, 10]}, 'label 10 is not in 0 to 9'),
    ({'labels': [-1, 1]}, 'label -1 is not in 0 to 9'),
    ({'labels': [1, '1']}, 'label that is no integer'),
    ({'labels': [1, True]}, 'label that is no integer'),
    ({'labels': numpy.array([1, 200])}, 'label 200 is not'),
    ({'labels': numpy.array([[1, 2]])}, r'shape \(1, 2\), not'),
    ({'batch_label': b'testing batch 1 of 1'}, 'it holds test_batch'),
    ({'batch_label': 'training batch 2 of 5'}, 'it holds data_batch_2'),
    ({'batch_label': 'data_batch_3'}, 'mislabelled: it holds data_batch_3'),
])
def test_wrong_batch(folder, changes, message):
    (folder / 'data_batch_1').write_bytes(_change('data_batch_1', **changes))
    _fails(folder, f'data_batch_1: .*{message}')


@pytest.mark.parametrize('label', [
    None, b'training batch 1 of 5', 'my own', 7])
def test_batch_label_of_ones_own(folder, label):
    (folder / 'data_batch_1').write_bytes(
        _change('data_batch_1', batch_label=label))
    _check_own(_load_own(folder))


@pytest.mark.parametrize('names', [
    None, [], list('abc'), 'abcdefghij', ['a'] * 10, [1] * 10,
    ['a\n', *'bcdefghij'], ['', *'bcdefghij'], [[], *'bcdefghij']])
def test_wrong_class_names(folder, names):
    (folder / batches.META).write_bytes(
        _change(batches.META, label_names=names))
    _fails(folder, 'batches.meta: .*label.names')


def test_large_file(folder, monkeypatch):
    monkeypatch.setattr(batches, 'MAX_FILE_BYTES', 10_000)
    _fails(folder, 'data_batch_3: more than 10000 bytes')


def test_not_a_file(folder):
    path = folder / batches.TEST
    path.unlink()
    path.mkdir()
    _fails(folder, 'test_batch is not a file', errors.UserError)
    path.rmdir()
    if hasattr(os, 'mkfifo'):
        os.mkfifo(path)
        _fails(folder, 'test_batch is not a file', errors.UserError)
    with pytest.raises(errors.UserError, match='meta is not a folder'):
        _load_own(folder / batches.META)


def test_unreadable(folder, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(cifar10, 'open', refuse, raising=False)
    _fails(folder, 'cannot read .*data_batch_1: Permission denied',
           errors.UserError)


def _fails_archive(tmp_path, data, message, **kwargs):
    (tmp_path / cifar10.ARCHIVE).write_bytes(data)
    _fails(tmp_path, f'{cifar10.ARCHIVE}: .*{message}', **kwargs)


def test_wrong_md5(tmp_path):
    _fails_archive(
        tmp_path, _pack(_contents()), 'its MD5 is .*, not the published '
        f'{cifar10.MD5}; delete the file .*--allow-modified',
        allow_modified=False)


LINKS = {'type': tarfile.SYMTYPE, 'linkname': '../secret'}


@pytest.mark.parametrize('more, message', [
    (_member('cifar-10-batches-py/test_batch', b'x'), 'test_batch: '),
    (_member('cifar-10-batches-py/test_batch', **LINKS), 'not a file'),
    (_member('cifar-10-batches-py/test_batch', type=tarfile.LNKTYPE,
             linkname='data_batch_1'), 'not a file'),
    (_member('cifar-10-batches-py/test_batch', type=tarfile.FIFOTYPE),
     'not a file'),
    (_member('cifar-10-batches-py/test_batch', type=tarfile.DIRTYPE),
     'not a file'),
    (_member('./cifar-10-batches-py/data_batch_1',
             _contents()['data_batch_1']), 'data_batch_1 twice')])
def test_hostile_member(tmp_path, more, message):
    _fails_archive(tmp_path, _pack(_contents(), more), message)


@pytest.mark.parametrize('more', [
    _member('../outside', b'x'), _member('/tmp/outside', b'x'),
    _member('cifar-10-batches-py/../../test_batch', b'x'),
    _member('../cifar-10-batches-py/test_batch', b'x'),
    _member('/cifar-10-batches-py/test_batch', b'x'),
    _member('cifar-10-batches-py/sub/test_batch', b'x'),
    _member('test_batch', b'x'), _member('link', **LINKS)])
def test_other_members_are_passed_over(tmp_path, more):
    folder = tmp_path / 'inner'
    folder.mkdir()
    (folder / cifar10.ARCHIVE).write_bytes(_pack(_contents(), more))
    _check_own(_load_own(folder))
    assert [p.name for p in tmp_path.rglob('*')] == ['inner', cifar10.ARCHIVE]


@pytest.mark.parametrize('damage, message', [
    (lambda d: b'', 'tar'),
    (lambda d: b'<html></html>', 'gzip'),
    (lambda d: gzip.decompress(d), 'corrupt gzip data'),
    (lambda d: gzip.compress(b'text'), 'tar'),
    (lambda d: gzip.compress(bytes(2048)), 'lacks data_batch_1, '),
    (lambda d: gzip.compress(gzip.decompress(d)[:5000]), 'tar|truncated'),
    (lambda d: d[:-8] + bytes(8), 'corrupt gzip data'),
    (lambda d: _pack({}), 'lacks data_batch_1, '),
    (lambda d: _pack({f: c for f, c in _contents().items()
                      if f != batches.META}), 'lacks batches.meta; delete'),
    (lambda d: _pack(_contents(), prefix='cifar-100-python/'), 'lacks'),
    (lambda d: _pack(_contents(), *[_member('x')] * 100), 'too many members'),
])
def test_corrupt_archive(tmp_path, damage, message):
    _fails_archive(tmp_path, damage(_pack(_contents())), message)


def test_archive_truncated_at_many_lengths(tmp_path):
    data = _pack(_contents())
    for n in [*range(0, 40), *range(40, len(data), 1501),
              *range(len(data) - 12, len(data))]:
        _fails_archive(tmp_path, data[:n], 'truncated|corrupt')


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, 'MAX_BYTES', 1 << 20)
    large = bytes(2 << 20)
    for bomb in (
            _pack(_contents(), _member('readme', large)),
            gzip.compress(gzip.decompress(_pack(_contents())) + large),
            # A header that goes on in the data
            _pack(_contents(), _member('x', large, type=tarfile.XHDTYPE)),
            _pack(_contents(), _member(
                'x', large, type=tarfile.GNUTYPE_LONGNAME))):
        _fails_archive(tmp_path, bomb, 'unpacks to far more')
    monkeypatch.setattr(batches, 'MAX_FILE_BYTES', 10_000)
    _fails_archive(tmp_path, _pack(_contents()), 'its data_batch_3 has')


@pytest.fixture
def published(server, monkeypatch):
    """Serves a small archive as if it were the published one."""
    data = _pack(_contents())
    server.files[cifar10.ARCHIVE] = data
    monkeypatch.setattr(cifar10, 'MD5', hashlib.md5(data).hexdigest())
    sizes = []
    monkeypatch.setattr(batches, 'N_BATCH', 2)
    parse = batches.parse

    def parse_any(file, data, allow_modified):
        sizes.append(allow_modified)
        return parse(file, data, True)

    monkeypatch.setattr(batches, 'parse', parse_any)
    yield server
    assert not any(sizes)


def test_download(published, tmp_path):
    target = tmp_path / 'new'
    mirrors = [published.url + name + '/' for name in ('wrong', 'good')]
    data = cifar10.load(target, mirrors=mirrors)
    _check_own(data)
    assert data.source == str(target / cifar10.ARCHIVE)
    assert [p.name for p in target.iterdir()] == [cifar10.ARCHIVE]
    asked = len(published.requested)
    _check_own(cifar10.load(target, mirrors=mirrors))
    assert len(published.requested) == asked == 2


def test_download_to_the_first_place(published, tmp_path, monkeypatch):
    monkeypatch.setenv('CHAINER_DATASET_ROOT', str(tmp_path))
    data = cifar10.load(mirrors=[published.url + 'good/'])
    assert data.source == str(tmp_path / 'cifar10' / cifar10.ARCHIVE)


def test_download_of_other_data(server, tmp_path):
    server.files[cifar10.ARCHIVE] = _pack(_contents())
    target = tmp_path / 'new'
    target.mkdir()
    _fails(target, 'deliver other data .*MD5',
           mirrors=[server.url + 'good/'])
    assert list(target.iterdir()) == []


def test_unavailable(server, tmp_path):
    _fails(tmp_path, 'CIFAR-10: cifar-10-python.tar.gz is not in .*cannot be '
           'downloaded .*absent.*404.*place it, or the folder cifar-10-batches'
           '-py, there', datasets.UnavailableError,
           mirrors=[server.url + 'absent/'])


def test_mirrors():
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
