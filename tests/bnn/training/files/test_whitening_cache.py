"""The whitening beside the data: found again, damaged, not to be written."""
import numpy
import pytest

from bnn import data
from bnn.kernels import whitening
from bnn.training.command_line import config as config_module
from bnn.training.files import whitening_cache
from tests.helpers import damage

CONFIG = config_module.Config(report='quiet')
N = 12


@pytest.fixture
def dataset(tmp_path):
    images = numpy.random.randint(0, 256, (40, 3, 2, 2)).astype(numpy.uint8)
    labels = numpy.zeros(40, 'i')
    return data.Dataset(
        'cifar10', 'CIFAR-10', images[:30], labels[:30], images[30:],
        labels[30:], ('a', 'b'), str(tmp_path))


def path(dataset, folder):
    return folder / f'whitening-{dataset.digest}.npz'


def write(where, digest, **arrays):
    with open(where, 'wb') as f:
        numpy.savez(f, digest=numpy.array(digest), **{
            'mean': numpy.zeros(N, 'f'), 'matrix': numpy.eye(N, dtype='f'),
            **arrays})


def assert_same(found, expected):
    for ours, theirs in zip(found, expected):
        numpy.testing.assert_array_equal(ours, theirs)


def test_computed_once(dataset, tmp_path, capsys):
    """Of the training images alone."""
    expected = whitening.fit(dataset.train_images)
    found = whitening_cache.load(dataset, CONFIG)
    assert_same(found, expected)
    assert_same(whitening_cache.load(dataset, CONFIG), expected)
    assert list(tmp_path.iterdir()) == [path(dataset, tmp_path)]
    # What is there is taken.
    write(path(dataset, tmp_path), dataset.digest)
    assert_same(whitening_cache.load(dataset, CONFIG),
                (numpy.zeros(N), numpy.eye(N)))
    assert capsys.readouterr().err == ''


def test_beside_an_archive(dataset, tmp_path):
    archive = tmp_path / 'cifar-10-python.tar.gz'
    archive.write_bytes(b'')
    object.__setattr__(dataset, 'source', str(archive))
    whitening_cache.load(dataset, CONFIG)
    assert path(dataset, tmp_path).exists()


def flip_bit(where):
    contents = bytearray(where.read_bytes())
    contents[len(contents) // 2] ^= 1
    where.write_bytes(contents)


def make_folder(where):
    where.unlink()
    where.mkdir()


@pytest.mark.parametrize('spoil', [
    flip_bit, make_folder, damage.halve, damage.empty, damage.write_letter,
    damage.write_pickle, damage.lose_settings,
    lambda where: write(where, 'of other data'),
    lambda where: write(where, where.stem.split('-')[1],
                        mean=numpy.zeros(N + 1, 'f'))])
def test_damaged(dataset, tmp_path, capsys, spoil):
    """It is computed anew, after a line, and written where that can be."""
    expected = whitening_cache.load(dataset, CONFIG)
    where = path(dataset, tmp_path)
    spoil(where)
    assert_same(whitening_cache.load(dataset, CONFIG), expected)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f'warning: {where} is damaged or not a ')
    assert lines[0].endswith('; computing it anew')
    assert not (tmp_path / 'executed').exists()
    if where.is_file():
        assert len(lines) == 1
        assert_same(whitening_cache.load(dataset, CONFIG), expected)
        assert capsys.readouterr().err == ''


def test_no_folder(dataset, tmp_path, capsys):
    object.__setattr__(dataset, 'source', str(tmp_path / 'none' / 'x'))
    assert_same(whitening_cache.load(dataset, CONFIG),
                whitening.fit(dataset.train_images))
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('warning: cannot write ')
    assert line.endswith('the next run computes the whitening again')
