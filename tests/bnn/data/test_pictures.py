import concurrent.futures
import threading
import time
import tracemalloc

import numpy
import pytest

from bnn.data import decoding
from bnn.data import errors
from bnn.data import image_folder
from bnn.data import pictures


class _Files:
    """Files whose pictures are as grey as their number."""

    folder = '/somewhere/train'

    def __init__(self, n, broken=()):
        self.n = n
        self.broken = set(broken)
        self.sizes = numpy.arange(n)
        self.decoded = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __len__(self):
        return self.n

    def name(self, row):
        return b'%d.png' % row

    def path(self, row):
        return f'{self.folder}/{row}.png'

    def decode(self, path):
        row = int(path[len(self.folder) + 1:-4])
        self.decoded.append(row)
        assert self.go_on.wait(10)
        if row in self.broken:
            raise errors.CorruptError('torn')
        return numpy.full((3, 256, 256), row % 256, numpy.uint8)


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def make(monkeypatch, pool):
    def make(n, broken=()):
        files = _Files(n, broken)
        monkeypatch.setattr(decoding, 'decode', files.decode)
        return files, pictures.Pictures(files, pool, numpy.arange(n))

    return make


def _levels(images):
    assert images.shape[1:] == (3, 256, 256)
    assert images.dtype == numpy.uint8
    assert images.flags.c_contiguous
    assert (images == images[:, :1, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def test_like_an_array(make):
    files, all_ = make(20)
    assert len(all_) == 20
    assert all_.shape == (20, 3, 256, 256)
    assert all_.dtype == numpy.uint8
    for indices in ([3, 1, 19], numpy.array([3, 1, 19], numpy.int32),
                    range(4), [-1, -20], [5, 5, 2], [], numpy.array([], int)):
        want = numpy.arange(20)[list(indices)].tolist()
        assert _levels(all_[indices]) == want
        images, kept = all_.read(indices)
        assert _levels(images) == want
        assert kept.dtype == bool
        assert kept.tolist() == [True] * len(want)
    for index in 3, -1, numpy.int64(7):
        image = all_[index]
        assert image.shape == (3, 256, 256)
        assert image.size == 3 * 256 * 256
        assert (image == index % 20).all()
    assert not len(all_.broken)


def test_slices(make):
    files, all_ = make(20)
    some = all_[2:-3][::-4]
    assert isinstance(some, pictures.Pictures)
    assert some.shape == (4, 3, 256, 256)
    assert files.decoded == []
    assert _levels(some[range(4)]) == [16, 12, 8, 4]
    assert [_levels(some[i][None]) for i in range(4)] == [
        [16], [12], [8], [4]]
    assert len(all_[20:]) == 0


@pytest.mark.parametrize('index', [20, -21, [0, 20]])
def test_out_of_range(make, index):
    with pytest.raises(IndexError):
        make(20)[1][index]


def test_no_mask_no_fraction(make):
    files, all_ = make(3)
    for indices in numpy.array([True, False, True]), [.5], .5, 'a', None:
        with pytest.raises(TypeError):
            all_[indices]
    assert files.decoded == []


def test_duplicates_decoded_once(make):
    files, all_ = make(5)
    assert _levels(all_[[2, 1, 2, 2]]) == [2, 1, 2, 2]
    assert sorted(files.decoded) == [1, 2]


def test_prefetch(make):
    files, all_ = make(100)
    all_.prefetch([4, 5, 6])
    all_.prefetch(numpy.array([4, 5, 6]))
    assert _levels(all_[[5, 4, 6]]) == [5, 4, 6]
    assert sorted(files.decoded) == [4, 5, 6]
    # Not kept
    assert _levels(all_[[5]]) == [5]
    assert sorted(files.decoded) == [4, 5, 5, 6]


def test_prefetch_runs_ahead(make):
    files, all_ = make(100)
    files.go_on.clear()
    all_.prefetch([7, 8])  # returns at once
    files.go_on.set()
    all_._pool.shutdown()
    assert sorted(files.decoded) == [7, 8]


def test_prefetch_drops(make, pool):
    files, all_ = make(100)
    files.go_on.clear()
    all_.prefetch(range(50))
    deadline = time.monotonic() + 10
    while len(files.decoded) < 2 and time.monotonic() < deadline:
        time.sleep(.001)
    all_.prefetch([49, 60, 60])
    assert len(all_._announced) == 2
    files.go_on.set()
    assert _levels(all_[[60, 49]]) == [60, 49]
    assert not all_._announced
    pool.shutdown()
    # The two workers had begun with theirs
    assert sorted(files.decoded) == [0, 1, 49, 60]


def test_prefetch_of_slices_apart(make):
    files, all_ = make(100)
    train, validation = all_[:-10], all_[-10:]
    train.prefetch([1])
    validation.prefetch([1])
    assert _levels(train[[1]]) == [1]
    assert _levels(validation[[1]]) == [91]
    assert sorted(files.decoded) == [1, 91]


def test_prefetched_broken(make, capsys):
    files, all_ = make(100, broken=[3])
    all_.prefetch([2, 3, 4])
    images, kept = all_.read([4, 3, 2])
    assert _levels(images) == [4, 2]
    assert kept.tolist() == [True, False, True]
    assert len(files.decoded) == 3


def test_broken(make, capsys):
    files, all_ = make(100, broken=[3, 5])
    images, kept = all_.read([5, 2, 3, 4, 5])
    assert _levels(images) == [2, 4]
    assert kept.tolist() == [False, True, False, True, False]
    assert len(all_.broken) == 2
    # Once, and nothing more the next time, also through a slice
    all_[3:].read([0, 1, 2])
    assert len(all_.broken) == 2
    assert capsys.readouterr().err == (
        'warning: left out /somewhere/train/5.png: torn\n'
        'warning: left out /somewhere/train/3.png: torn\n')
    images, kept = all_.read([3])
    assert images.shape == (0, 3, 256, 256)
    for index in 3, [1, 3]:
        with pytest.raises(errors.CorruptError,
                           match='^/somewhere/train/3.png: torn$'):
            all_[index]


@pytest.mark.parametrize('n, allowed', [
    (1, 0), (5, 4), (11, 10), (12, 10), (999, 10), (1000, 10), (2000, 20),
    (2099, 20), (2100, 21)])
def test_too_many_broken(make, capsys, n, allowed):
    files, all_ = make(n, broken=range(n))
    if allowed:
        images, kept = all_.read(range(allowed))
        assert not kept.any()
    assert capsys.readouterr().err.count('\n') == min(allowed, 10)
    # They are counted for the part, not for the slice
    with pytest.raises(errors.CorruptError) as info:
        all_[allowed:].read([0])
    assert str(info.value) == (
        f'{allowed + 1} of the {n} pictures in /somewhere/train are broken, '
        f'where {allowed} may be; the last: /somewhere/train/{allowed}.png: '
        'torn')
    assert len(all_.broken) == allowed + 1


def test_broken_of_several_processes(make, capsys):
    _, ours = make(100, broken=[3, 5])
    ours.read([5])
    told = []

    def gather(found):
        told.append(found)
        return [found, {5: 'torn', 7: 'short'}]

    ours.broken.exchange(gather)
    assert len(ours.broken) == 2
    ours.read([3, 5])
    ours.broken.exchange(gather)
    ours.broken.exchange(gather)
    assert len(ours.broken) == 3
    assert told == [{5: 'torn'}, {3: 'torn'}, {}]
    assert capsys.readouterr().err == (
        'warning: left out /somewhere/train/5.png: torn\n'
        'warning: left out /somewhere/train/7.png: short\n'
        'warning: left out /somewhere/train/3.png: torn\n')
    with pytest.raises(errors.CorruptError, match='^11 of the 100 pictures'):
        ours.broken.exchange(lambda _: [{i: 'torn' for i in range(50)}])


def test_fingerprint(make):
    files, all_ = make(20)
    digests = [
        all_, all_[:-1], all_[::-1], all_[1:], make(21)[1]]
    assert len({d.fingerprint.tobytes() for d in digests}) == 5
    assert all_.fingerprint.shape == (20,)
    assert all_.fingerprint.dtype == numpy.uint8
    numpy.testing.assert_array_equal(
        all_[:20].fingerprint, make(20)[1].fingerprint)
    files.sizes[7] += 1
    assert (all_.fingerprint != make(20)[1].fingerprint).any()
    assert files.decoded == []


def test_threads(make):
    files, all_ = make(60, broken=[7, 13])

    def work(seed):
        random = numpy.random.RandomState(seed)
        for _ in range(20):
            indices = random.randint(0, 60, 5)
            if seed % 2:
                all_.prefetch(indices)
            images, kept = all_.read(indices)
            assert _levels(images) == indices[kept].tolist()
            assert set(indices[~kept]) <= {7, 13}

    with concurrent.futures.ThreadPoolExecutor(6) as callers:
        list(callers.map(work, range(6)))
    assert len(all_.broken) == 2


def test_memory(picture_folder):
    images = image_folder.load(str(picture_folder), 2).train_images
    images.read(range(12))
    tracemalloc.start()
    try:
        for _ in range(20):
            images.prefetch([2, 3, 4])
            images.read([0, 1])
            images.read([2, 3, 4])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of the 100 that were decoded
    assert peak < 20 * images[0].nbytes
