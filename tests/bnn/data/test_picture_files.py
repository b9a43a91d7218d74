import gc
import os
import tracemalloc

import numpy
import pytest
from PIL import Image

from bnn import errors as base_errors
from bnn.data import errors
from bnn.data import picture_files


def _find(folder):
    return picture_files.find(
        str(folder), os.stat(folder).st_mtime_ns,
        picture_files.subfolders(str(folder)))


def _paths(files):
    return [os.path.relpath(files.path(i), files.folder)
            for i in range(len(files))]


@pytest.fixture
def scans(monkeypatch):
    """The folders that were scanned."""
    scans = []
    scan = picture_files._scan
    monkeypatch.setattr(picture_files, '_scan', lambda folder, classes: (
        scans.append(folder) or scan(folder, classes)))
    return scans


def _cache(folder):
    [path] = (folder.parent / 'cache' / 'binary_net').iterdir()
    return path


def test_files(picture_folder):
    files = _find(picture_folder / 'val')
    assert len(files) == 4
    assert files.folder == str(picture_folder / 'val')
    assert files.classes == ('cat', 'dog')
    assert files.labels.dtype == numpy.int32
    assert files.labels.tolist() == [0, 0, 1, 1]
    assert _paths(files) == [
        'cat/00.png', 'cat/01.png', 'dog/02.png', 'dog/03.png']
    assert [files.name(i).decode() for i in range(4)] == _paths(files)
    assert files.sizes.tolist() == [
        os.path.getsize(files.path(i)) for i in range(4)]


def test_order(tmp_path, monkeypatch, picture_folder):
    # By name, whatever the system returns first
    scandir = os.scandir

    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda e: e.name)[::-1]

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    want = _paths(_find(picture_folder / 'train'))
    assert want == sorted(want)
    monkeypatch.setattr(picture_files.os, 'scandir', Backwards)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'other'))
    assert _paths(_find(picture_folder / 'train')) == want


def test_what_counts_as_a_picture(picture_folder):
    folder = picture_folder / 'val'
    for name in ('.a.png', 'b.txt', 'png', 'c.png.part', 'd.tiff'):
        (folder / 'cat' / name).write_bytes(b'')
    for name in ('e.JPEG', 'f.Jpg', 'g.BMP', 'h.gif', 'i.webp', 'j.ppm',
                 'k.pgm'):
        (folder / 'cat' / name).write_bytes(b'')
    (folder / 'cat' / 'l.png').mkdir()
    (folder / 'cat' / 'm.png').symlink_to(folder / 'dog' / '02.png')
    (folder / '.hidden').mkdir()
    (folder / 'readme.png').write_bytes(b'')
    assert _paths(_find(folder)) == [f'cat/{name}' for name in (
        '00.png', '01.png', 'e.JPEG', 'f.Jpg', 'g.BMP', 'h.gif', 'i.webp',
        'j.ppm', 'k.pgm', 'm.png')] + ['dog/02.png', 'dog/03.png']


def test_any_names(picture_folder):
    folder = picture_folder / 'train'
    for i, name in enumerate(('ä ö.png', 'new\nline.png', '%d %s.png',
                              os.fsdecode(b'\xff.png'))):
        Image.new('L', (3, 3), i).save(folder / 'cat' / name)
    (folder / 'cat').rename(folder / os.fsdecode(b'\xfe'))
    for _ in range(2):  # scanned, cached
        files = _find(folder)
        assert all(os.path.isfile(files.path(i)) for i in range(len(files)))


def test_cached(picture_folder, scans):
    folder = picture_folder / 'train'
    first, second = _find(folder), _find(folder)
    assert scans == [str(folder)]
    assert _paths(first) == _paths(second)
    for name in 'labels', 'names', 'ends', 'sizes':
        a, b = getattr(first, name), getattr(second, name)
        assert a.dtype == b.dtype
        numpy.testing.assert_array_equal(a, b)
    assert [path.name[-4:] for path in _cache(picture_folder).parent.iterdir()
            ] == ['.npz']


@pytest.mark.parametrize('change', [
    lambda folder: (folder / 'cat' / '00.png').unlink(),
    lambda folder: (folder / 'cat' / 'new.png').write_bytes(b''),
    lambda folder: (folder / 'cat').rename(folder / 'fox'),
    # Of equal names and times, but another one
    lambda folder: ((folder / 'cat').rename(folder / '.was'),
                    (folder / '.was' / '01.png').unlink(),
                    (folder / '.was').rename(folder / 'cat'),
                    os.utime(folder / 'cat', (10 ** 9, 10 ** 9)))])
def test_cache_outdated(picture_folder, scans, change):
    folder = picture_folder / 'train'
    before = _paths(_find(folder))
    change(folder)
    assert _paths(_find(folder)) != before
    assert len(scans) == 2


def test_not_cached_while_it_changes(picture_folder, scans):
    # The next file could come within the same tick of the clock
    folder = picture_folder / 'train'
    os.utime(folder / 'dog')
    _find(folder)
    assert not (picture_folder.parent / 'cache').exists()


@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: b'a text', lambda data: data[:-30],
    lambda data: data[:200], lambda data: data.replace(b'.png', b'.jpg', 1),
    lambda data: data.replace(b'stamp', b'st')])
def test_damaged_cache(picture_folder, scans, damage):
    folder = picture_folder / 'train'
    want = _paths(_find(folder))
    data = _cache(picture_folder).read_bytes()
    _cache(picture_folder).write_bytes(damage(data))
    assert _paths(_find(folder)) == want
    assert len(scans) == 2
    assert _cache(picture_folder).read_bytes() == data


def test_cache_of_another_version(picture_folder, scans, monkeypatch):
    _find(picture_folder / 'train')
    monkeypatch.setattr(picture_files, '_VERSION', 0)
    _find(picture_folder / 'train')
    assert len(scans) == 2


def test_hostile_cache(picture_folder, scans, monkeypatch):
    folder = picture_folder / 'train'
    _find(folder)
    with numpy.load(_cache(picture_folder)) as stored:
        arrays = dict(stored)
    arrays['sizes'] = numpy.array([print], object)
    numpy.savez(_cache(picture_folder), **arrays)
    assert len(_find(folder)) == 12
    assert len(scans) == 2


def test_no_cache_folder(picture_folder, scans):
    # A file is where the folder would be
    (picture_folder.parent / 'cache').write_bytes(b'')
    for _ in range(2):
        assert len(_find(picture_folder / 'train')) == 12
    assert len(scans) == 2


def test_disk_full(picture_folder, monkeypatch):
    def savez(stream, **arrays):
        stream.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(numpy, 'savez', savez)
    assert len(_find(picture_folder / 'train')) == 12
    assert not list((picture_folder.parent / 'cache/binary_net').iterdir())


def test_cache_in_home(picture_folder, monkeypatch):
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', str(picture_folder.parent))
    _find(picture_folder / 'train')
    assert list((picture_folder.parent / '.cache/binary_net').iterdir())


def test_no_pictures_in_a_class(picture_folder):
    (picture_folder / 'val' / 'emu').mkdir()
    (picture_folder / 'val' / 'emu' / 'a.txt').write_bytes(b'')
    with pytest.raises(errors.CorruptError, match='val/emu has no pictures '):
        _find(picture_folder / 'val')


@pytest.mark.parametrize('at', ['val', 'dog'])
def test_unreadable(picture_folder, monkeypatch, at):
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == at:
            raise PermissionError(13, 'Permission denied', path)
        return scandir(path)

    monkeypatch.setattr(picture_files.os, 'scandir', refuse)
    with pytest.raises(base_errors.UserError,
                       match=f'^cannot read .*/{at}: Permission denied$'):
        _find(picture_folder / 'val')


def test_memory(tmp_path, monkeypatch):
    # Not one object for each picture
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    (tmp_path / 'n01440764').mkdir()
    for i in range(5000):
        os.link(__file__, (
            tmp_path / 'n01440764' / f'n01440764_{10000 + i}.JPEG'))
    classes = picture_files.subfolders(str(tmp_path))
    tracemalloc.start()
    try:
        # Python keeps some of what is freed: the first time fills its stores
        kept = []
        for _ in range(2):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            kept.append(picture_files.find(str(tmp_path), 0, classes))
            gc.collect()
            size = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(kept[-1]) == 5000
    # 40: a name of 20, two times 8, and 4
    assert size / 5000 < 41
