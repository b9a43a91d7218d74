"""Draws that follow from seed, iteration and call."""
import numpy
import pytest

from bnn import kernels
from bnn.kernels import gpu_random
from bnn.kernels import gpu_steps


def philox(counter, key):
    """Philox4x32-10 in Python's integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF,
             (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) % 2 ** 32, (k[1] + 0xBB67AE85) % 2 ** 32]
    return c


def test_known_answer():
    # Of the authors' Random123, kat_vectors
    assert philox([0] * 4, [0] * 2) == [
        0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_uniform(cuda_on_cpu):
    seed, iteration = 2 ** 40 + 5, 2 ** 33 + 7
    source = gpu_random.Source(numpy, seed)
    source.set_iteration(iteration)
    with source.use():
        ours = [source.uniform((1030,)), source.uniform((3,))]
    words = [philox([i, 0, 7, 2], [5, 2 ** 8]) for i in range(258)]
    numpy.testing.assert_array_equal(
        ours[0], (numpy.ravel(words)[:1030] >> 8) / 2 ** 24)
    assert list(ours[1] * 2 ** 24) == [
        word >> 8 for word in philox([0, 1, 7, 2], [5, 2 ** 8])[:3]]
    assert abs(ours[0].mean() - .5) < .03


@pytest.mark.parametrize('dtype', 'efd')
def test_signs(dtype, cuda_on_cpu):
    source = gpu_random.Source(numpy, 1)
    x = numpy.linspace(-1.5, 1.5, 30000).astype(dtype).reshape(300, 100)
    with source.use():
        y = source.signs(x)
    assert y.dtype == x.dtype and y.shape == x.shape
    assert set(numpy.unique(y)) == {-1, 1}
    assert (y[x <= -1] == -1).all() and (y[x >= 1] == 1).all()
    numpy.testing.assert_allclose(
        y.reshape(30, -1).mean(1),
        numpy.clip(x, -1, 1).astype('d').reshape(30, -1).mean(1), atol=.15)
    x[:] = numpy.nan
    assert (source.signs(x) == -1).all()


@pytest.mark.parametrize('dtype', 'efd')
def test_mask(dtype, cuda_on_cpu):
    source = gpu_random.Source(numpy, 1)
    mask = source.mask((100, 50), numpy.dtype(dtype), .2)
    assert mask.dtype == dtype
    assert set(numpy.unique(mask)) == {0, numpy.dtype(dtype).type(1.25)}
    assert abs((mask == 0).mean() - .2) < .03


def test_same_again_and_other_numbers(cuda_on_cpu):
    source = gpu_random.Source(numpy, 3)
    position = numpy.zeros(1, numpy.int64)

    def draw():
        with source.use():
            return [source.uniform((8,)).tobytes() for _ in range(2)]

    first = draw()
    assert draw() == first  # what a replay would do without the kernel
    gpu_steps.advance(position, source.state, 4)
    second = draw()
    assert len({*first, *second}) == 4
    other = gpu_random.Source(numpy, 3)
    other.set_iteration(1)
    with other.use():
        assert other.uniform((8,)).tobytes() == second[0]
    assert position[0] == 4


def test_current(cuda_on_cpu):
    source = gpu_random.Source(numpy, 3)
    assert gpu_random.current() is None
    x = numpy.zeros(5, 'f')
    state = numpy.random.get_state()[1].copy()
    with source.use():
        assert gpu_random.current() is source
        y = kernels.stochastic_binarize(x)
        numpy.testing.assert_array_equal(
            numpy.random.get_state()[1], state)
    assert gpu_random.current() is None
    with source.use():
        numpy.testing.assert_array_equal(source.signs(x), y)
