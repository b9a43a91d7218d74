import concurrent.futures
import threading
import time
import tracemalloc

import numpy
import pytest

from bnn import errors
from bnn.data import decoding
from bnn.data import image_folder
from bnn.data import pictures

FOLDER = '/somewhere/train'


class _Decoder:
    """Pictures as grey as their number."""

    def __init__(self, broken):
        self.broken = set(broken)
        self.decoded = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, path, shape):
        assert shape == (3, 256, 256)
        row = int(path[len(FOLDER) + 1:-4])
        self.decoded.append(row)
        assert self.go_on.wait(10)
        if row in self.broken:
            raise ValueError('torn')
        return numpy.full((3, 256, 256), row % 256, numpy.uint8)


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def make(monkeypatch, pool):
    def make(n, broken=()):
        decoder = _Decoder(broken)
        monkeypatch.setattr(decoding, 'decode', decoder)
        names = numpy.array([b'%d.png' % i for i in range(n)])
        return decoder, pictures.Pictures(
            FOLDER, names, numpy.arange(n), pool)

    return make


def _levels(images):
    assert images.shape[1:] == (3, 256, 256)
    assert images.dtype == numpy.uint8
    assert images.flags.c_contiguous
    assert (images == images[:, :1, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def test_like_an_array(make):
    decoder, all_ = make(20)
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
        assert (image == index % 20).all()
    assert not len(all_.broken)
    # Duplicates are decoded once.
    decoder.decoded.clear()
    assert _levels(all_[[2, 1, 2, 2]]) == [2, 1, 2, 2]
    assert sorted(decoder.decoded) == [1, 2]


def test_slices(make):
    decoder, all_ = make(20)
    some = all_[2:-3][::-4]
    assert isinstance(some, pictures.Pictures)
    assert some.shape == (4, 3, 256, 256)
    assert decoder.decoded == []
    assert _levels(some[range(4)]) == [16, 12, 8, 4]
    assert [_levels(some[i][None]) for i in range(4)] == [
        [16], [12], [8], [4]]
    assert len(all_[20:]) == 0


def test_wrong_indices(make):
    decoder, all_ = make(20)
    for index in 20, -21, [0, 20]:
        with pytest.raises(IndexError):
            all_[index]
    for index in numpy.array([True, False, True]), [.5], .5, 'a', None:
        with pytest.raises(TypeError):
            all_[index]
    assert decoder.decoded == []


def test_prefetch(make):
    decoder, all_ = make(100)
    all_.prefetch([4, 5, 6])
    all_.prefetch(numpy.array([4, 5, 6]))
    assert _levels(all_[[5, 4, 6]]) == [5, 4, 6]
    assert sorted(decoder.decoded) == [4, 5, 6]
    # Not kept
    assert _levels(all_[[5]]) == [5]
    assert sorted(decoder.decoded) == [4, 5, 5, 6]
    # The slices apart
    train, validation = all_[:-10], all_[-10:]
    train.prefetch([1])
    validation.prefetch([1])
    assert _levels(train[[1]]) == [1]
    assert _levels(validation[[1]]) == [91]
    # It returns at once and runs ahead.
    decoder.decoded.clear()
    decoder.go_on.clear()
    all_.prefetch([7, 8])
    decoder.go_on.set()
    all_._pool.shutdown()
    assert sorted(decoder.decoded) == [7, 8]


def test_prefetch_drops(make, pool):
    decoder, all_ = make(100)
    decoder.go_on.clear()
    all_.prefetch(range(50))
    deadline = time.monotonic() + 10
    while len(decoder.decoded) < 2 and time.monotonic() < deadline:
        time.sleep(.001)
    all_.prefetch([49, 60, 60])
    assert len(all_._announced) == 2
    decoder.go_on.set()
    assert _levels(all_[[60, 49]]) == [60, 49]
    assert not all_._announced
    pool.shutdown()
    # The two workers had begun with theirs.
    assert sorted(decoder.decoded) == [0, 1, 49, 60]


def test_broken(make, capsys):
    decoder, all_ = make(100, broken=[3, 5])
    all_.prefetch([2, 3, 4, 5])
    images, kept = all_.read([5, 2, 3, 4, 5])
    assert _levels(images) == [2, 4]
    assert kept.tolist() == [False, True, False, True, False]
    assert len(decoder.decoded) == 4
    assert len(all_.broken) == 2
    # Once, and nothing more the next time, also through a slice
    all_[3:].read([0, 1, 2])
    assert len(all_.broken) == 2
    images, kept = all_.read([3])
    assert images.shape == (0, 3, 256, 256)
    for index in 3, [1, 3], numpy.array([1, -97]):
        with pytest.raises(errors.UserError, match=(
                '^/somewhere/train/3.png is broken$')):
            all_[index]
    assert capsys.readouterr().err == (
        'warning: left out /somewhere/train/5.png: torn\n'
        'warning: left out /somewhere/train/3.png: torn\n')


def test_too_many_broken(make, capsys):
    for n, allowed in ((1, 0), (5, 4), (11, 10), (12, 10), (999, 10),
                       (1000, 10), (2000, 20), (2099, 20), (2100, 21)):
        _, all_ = make(n, broken=range(n))
        assert not all_.read(range(allowed))[1].any()
        assert capsys.readouterr().err.count('\n') == min(allowed, 10)
        # They are counted for the part, not for the slice.
        with pytest.raises(errors.UserError) as info:
            all_[allowed:].read([0])
        assert str(info.value) == (
            f'{allowed + 1} of the {n} pictures in {FOLDER} are broken, '
            f'where {allowed} may be; the last: {FOLDER}/{allowed}.png: torn')
        assert len(all_.broken) == allowed + 1
        capsys.readouterr()


def test_broken_of_several_processes(make, capsys):
    _, ours = make(100, broken=[3, 5])
    ours.read([5])
    told = []
    three, five, seven = (f'{FOLDER}/{i}.png' for i in (3, 5, 7))

    def gather(found):
        told.append(found)
        return [found, {five: 'torn', seven: 'short'}]

    ours.broken.exchange(gather)
    assert len(ours.broken) == 2
    ours.read([3, 5])
    ours.broken.exchange(gather)
    ours.broken.exchange(gather)
    assert len(ours.broken) == 3
    assert told == [{five: 'torn'}, {three: 'torn'}, {}]
    assert capsys.readouterr().err == (
        f'warning: left out {five}: torn\nwarning: left out {seven}: short\n'
        f'warning: left out {three}: torn\n')
    with pytest.raises(errors.UserError, match='^11 of the 100 pictures'):
        ours.broken.exchange(lambda _: [{str(i): 'torn' for i in range(50)}])


def test_threads(make):
    _, all_ = make(60, broken=[7, 13])

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
    # 100 pictures were decoded.
    assert peak < 20 * images[0].nbytes
