import contextlib
import gc
import os
import tracemalloc

import hypothesis
import numpy
import pytest
from hypothesis import strategies
from PIL import Image

from bnn import errors
from bnn.data import decoding
from bnn.data import picture_files
from tests.helpers import random_cases


def _find(folder):
    return picture_files.find(
        str(folder), picture_files.subfolders(str(folder)))


def _names(folder):
    return [os.fsdecode(name) for name in _find(folder)[0]]


def test_find(picture_folder):
    folder = picture_folder / 'val'
    names, labels, sizes = _find(folder)
    assert names.tolist() == [
        b'cat/00.png', b'cat/01.png', b'dog/02.png', b'dog/03.png']
    assert labels.dtype == numpy.int32
    assert labels.tolist() == [0, 0, 1, 1]
    assert sizes.dtype == numpy.int64
    assert sizes.tolist() == [
        os.path.getsize(folder / os.fsdecode(name)) for name in names]


def test_what_is_a_picture(picture_folder, monkeypatch):
    # Sorted by name, whatever the system returns first
    scandir = os.scandir
    monkeypatch.setattr(
        picture_files.os, 'scandir', lambda path: contextlib.nullcontext(
            sorted(scandir(path), key=lambda e: e.name, reverse=True)))
    folder = picture_folder / 'val'
    for name in ('a.txt', '.b.png', 'c', 'd.png.part', 'e.JPEG', 'f.Jpg',
                 'g.BMP', 'h.gif', 'i.webp', 'j.ppm', 'k.pgm', 'png'):
        (folder / 'cat' / name).write_bytes(b'')
    (folder / 'cat' / 'l.png').mkdir()
    (folder / 'cat' / 'm.png').symlink_to('00.png')
    (folder / 'cat' / 'n.png').symlink_to('nowhere')
    (folder / '.hidden').mkdir()
    (folder / 'readme.png').write_bytes(b'')
    assert _names(folder) == [f'cat/{name}' for name in (
        '00.png', '01.png', 'e.JPEG', 'f.Jpg', 'g.BMP', 'h.gif', 'i.webp',
        'j.ppm', 'k.pgm', 'm.png')] + ['dog/02.png', 'dog/03.png']


# Names of files, most of them of pictures
NAMES = strategies.tuples(
    strategies.text(strategies.characters(
        exclude_characters='/\0', exclude_categories=['Cs']),
        min_size=1, max_size=8).filter(lambda name: name not in ('.', '..')),
    strategies.sampled_from(['', '.txt', '.JPG', *decoding.EXTENSIONS])
).map(''.join)


@random_cases.settings
@hypothesis.given(strategies.dictionaries(
    NAMES.filter(lambda name: name[0] != '.'), strategies.sets(NAMES),
    min_size=1, max_size=4))
def test_any_folder(tmp_path_factory, classes):
    """A file is found if it ends like a picture, in the order of names."""
    folder = tmp_path_factory.mktemp('any')
    expected = []
    for label, name in enumerate(sorted(classes, key=os.fsencode)):
        (folder / name).mkdir()
        for file in sorted(classes[name], key=os.fsencode):
            (folder / name / file).write_bytes(b'x')
            if file[0] != '.' and file.lower().endswith(
                    tuple(decoding.EXTENSIONS)):
                expected.append((f'{name}/{file}', label))
    found = picture_files.subfolders(str(folder))
    try:
        names, labels, sizes = picture_files.find(str(folder), found)
    except errors.UserError as error:  # a class without pictures
        assert len({label for _, label in expected}) < len(classes)
        assert '\n' not in str(error)
    else:
        assert list(zip(map(os.fsdecode, names), labels.tolist(),
                        strict=True)) == expected
        assert (sizes == 1).all()


def test_any_names(picture_folder):
    folder = picture_folder / 'train'
    for i, name in enumerate(('ä ö.png', 'new\nline.png', '%d %s.png',
                              os.fsdecode(b'\xff.png'))):
        Image.new('L', (3, 3), i).save(folder / 'cat' / name)
    (folder / 'cat').rename(folder / 'ö %')
    names = _names(folder)
    assert len(names) == 16
    assert all(os.path.isfile(folder / name) for name in names)


def test_errors(picture_folder, monkeypatch):
    folder = picture_folder / 'val'
    (folder / 'emu').mkdir()
    (folder / 'emu' / 'a.txt').write_bytes(b'')
    with pytest.raises(errors.UserError, match='val/emu has no pictures '):
        _find(folder)
    (folder / 'emu' / 'b.png').write_bytes(b'')
    scandir = os.scandir
    for refused in 'val', 'dog':
        def refuse(path, refused=refused):
            if os.path.basename(path) == refused:
                raise PermissionError(13, 'Permission denied', path)
            return scandir(path)

        monkeypatch.setattr(picture_files.os, 'scandir', refuse)
        with pytest.raises(errors.UserError, match=(
                f'^cannot read .*/{refused}: Permission denied$')):
            _find(folder)
    monkeypatch.undo()
    os.rename(folder / 'emu', os.fsencode(folder / 'a') + b'\xff')
    with pytest.raises(errors.UserError, match=(
            r'val: the name of the folder a\\xff is not UTF-8: rename it$')):
        _find(folder)


def test_memory(tmp_path):
    # Not one object for each picture
    (tmp_path / 'n01440764').mkdir()
    for i in range(5000):
        os.link(__file__, (
            tmp_path / 'n01440764' / f'n01440764_{10000 + i}.JPEG'))
    classes = ['n01440764']
    tracemalloc.start()
    try:
        # Python keeps some of what is freed: the first time fills its stores.
        kept = []
        for _ in range(2):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            kept.append(picture_files.find(str(tmp_path), classes))
            gc.collect()
            size = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(kept[-1][0]) == 5000
    # A path of 30, a size of 8, a label of 4
    assert size / 5000 < 43
