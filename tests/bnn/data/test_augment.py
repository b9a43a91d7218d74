import hashlib
import itertools

import numpy
import pytest

from bnn.data import augment


def _outcomes(image, pad):
    _, h, w = image.shape
    padded = numpy.pad(image, ((0, 0), (pad, pad), (pad, pad)))
    for top, left in itertools.product(range(2 * pad + 1), repeat=2):
        crop = padded[:, top:top + h, left:left + w]
        yield from (crop, crop[:, :, ::-1])


def _images(n, c, h, w):
    # All pixels of an image differ and none is 0
    images = numpy.arange(1, c * h * w + 1).reshape(c, h, w)
    return ((images + numpy.arange(n)[:, None, None, None] * 7) % 251 + 1
            ).astype(numpy.uint8)


@pytest.mark.parametrize('shape', [
    (1, 3, 3), (3, 4, 4), (3, 2, 5), (2, 5, 1), (1, 1, 1)])
@pytest.mark.parametrize('pad', [0, 1, 2, 4])
def test_every_outcome_and_no_other(shape, pad):
    images = _images(1, *shape).repeat(3000, axis=0)
    got = augment.pad_crop_flip(images, pad, numpy.random.RandomState(0))
    assert got.dtype == numpy.uint8
    assert got.shape == images.shape
    assert got.flags.c_contiguous
    possible = {o.tobytes() for o in _outcomes(images[0], pad)}
    assert {image.tobytes() for image in got} == possible


def test_each_image_has_its_own():
    images = _images(600, 3, 4, 6)
    got = augment.pad_crop_flip(images, 2, numpy.random.RandomState(1))
    chosen = []
    for image, result in zip(images, got, strict=True):
        matches = [i for i, outcome in enumerate(_outcomes(image, 2))
                   if (outcome == result).all()]
        assert len(matches) == 1
        chosen += matches
    assert len(set(chosen)) == 50  # all of 2 * 5 * 5


def test_outcomes_are_equally_likely():
    n = 50 * 400
    images = numpy.ones((n, 1, 1, 1), numpy.uint8) * _images(1, 1, 3, 4)
    got = augment.pad_crop_flip(images, 2, numpy.random.RandomState(2))
    index = {o.tobytes(): i for i, o in enumerate(_outcomes(images[0], 2))}
    counts = numpy.bincount([index[g.tobytes()] for g in got], minlength=50)
    # Chi squared with 49 degrees of freedom: 100 has a probability of 2e-5
    assert ((counts - 400) ** 2 / 400).sum() < 100


@pytest.mark.parametrize('vary', [
    augment.pad_crop_flip, augment.random_affine])
@pytest.mark.parametrize('is_strided', [False, True])
def test_determined_by_the_random_state(vary, is_strided):
    images = _images(64, 3, 8, 8)
    if is_strided:
        images = images[::-1, ..., ::-1]
    before = images.copy()
    first, again, other = (
        vary(images, random=numpy.random.RandomState(seed))
        for seed in (3, 3, 4))
    numpy.testing.assert_array_equal(first, again)
    assert (first != other).any()
    numpy.testing.assert_array_equal(images, before)


@pytest.mark.parametrize('vary', [
    augment.pad_crop_flip, augment.random_affine])
def test_global_state_by_default(vary):
    images = _images(64, 3, 8, 8)
    state = numpy.random.get_state()
    try:
        numpy.random.seed(5)
        got = vary(images)
    finally:
        numpy.random.set_state(state)
    numpy.testing.assert_array_equal(
        got, vary(images, random=numpy.random.RandomState(5)))
    after = numpy.random.get_state()
    augment.pad_crop_flip(images, 4, numpy.random.RandomState(5))
    numpy.testing.assert_array_equal(after[1], numpy.random.get_state()[1])


@pytest.mark.parametrize('dtype', ['uint8', 'int8', 'float32'])
def test_other_inputs(dtype):
    # Strided, of other types, none at all
    images = _images(20, 3, 6, 6).astype(dtype)[::2, :, ::-1]
    got = augment.pad_crop_flip(images, 1, numpy.random.RandomState(0))
    assert got.dtype == dtype
    want = augment.pad_crop_flip(
        images.copy(), 1, numpy.random.RandomState(0))
    numpy.testing.assert_array_equal(got, want)
    assert augment.pad_crop_flip(images[:0]).shape == (0, 3, 6, 6)


def test_without_flips():
    images = _images(200, 1, 4, 4)
    got = augment.pad_crop_flip(images, 0, flip=False)
    numpy.testing.assert_array_equal(got, images)


def test_random_crop_flip():
    images = _images(1, 3, 5, 7).repeat(4000, axis=0)
    got = augment.random_crop_flip(images, 4, numpy.random.RandomState(0))
    assert got.dtype == numpy.uint8
    assert got.shape == (4000, 3, 4, 4)
    assert got.flags.c_contiguous
    crops = [images[0, :, top:top + 4, left:left + 4]
             for top, left in itertools.product(range(2), range(4))]
    index = {image.tobytes(): i for i, image in enumerate(
        crops + [crop[:, :, ::-1] for crop in crops])}
    counts = numpy.bincount([index[g.tobytes()] for g in got], minlength=16)
    # Chi squared with 15 degrees of freedom: 50 has a probability of 1e-5
    assert ((counts - 250) ** 2 / 250).sum() < 50


def test_random_crop_flip_draws_as_pad_crop_flip():
    images = _images(50, 3, 6, 6)
    padded = numpy.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    numpy.testing.assert_array_equal(
        augment.random_crop_flip(padded, 6, numpy.random.RandomState(1)),
        augment.pad_crop_flip(images, 2, numpy.random.RandomState(1)))


def test_draws_stay_what_they_were():
    # Runs of earlier versions can be repeated
    images = _images(200, 1, 4, 4)
    got = augment.pad_crop_flip(images, 2, numpy.random.RandomState(7))
    assert hashlib.blake2b(got.tobytes(), digest_size=16).hexdigest() == (
        '743498c6794a8b948483ebbbd1789257')


@pytest.mark.parametrize('shape, size, top, left', [
    ((256, 256), 227, 14, 14), ((5, 8), 4, 0, 2), ((4, 4), 4, 0, 0),
    ((6, 7), 3, 1, 2), ((3, 3), 1, 1, 1)])
def test_center_crop(shape, size, top, left):
    images = _images(2, 3, *shape)
    numpy.testing.assert_array_equal(
        augment.center_crop(images, size),
        images[:, :, top:top + size, left:left + size])


@pytest.mark.parametrize('crop', [
    augment.center_crop, augment.random_crop_flip])
def test_crops_refuse(crop):
    for shape, size in (((4, 9), 5), ((9, 4), 5), ((4, 4), 0)):
        with pytest.raises(ValueError, match=f'no window of {size}x{size} in'):
            crop(_images(2, 3, *shape), size)


def test_random_crop_flip_of_a_strided_view():
    images = _images(40, 3, 8, 9)[::-2, :, ::-1]
    before = images.copy()
    numpy.testing.assert_array_equal(
        augment.random_crop_flip(images, 5, numpy.random.RandomState(0)),
        augment.random_crop_flip(before, 5, numpy.random.RandomState(0)))
    numpy.testing.assert_array_equal(images, before)


def test_crops_of_none():
    images = _images(3, 3, 6, 6)[:0]
    assert augment.random_crop_flip(images, 4).shape == (0, 3, 4, 4)
    assert augment.center_crop(images, 4).shape == (0, 3, 4, 4)


class _Draws:

    """In place of a random state: the draws of every image."""

    def __init__(self, angle=0, slant=0, sx=0, sy=0, dx=0, dy=0):
        self._draws = numpy.array([angle, slant, sx, sy, dx, dy], float)

    def uniform(self, low, high, size):
        assert (low, high) == (-1, 1)
        return numpy.broadcast_to(self._draws[:, None, None, None], size)


def _sampled(image, matrix, offset):
    # Pixel by pixel, in float64
    h, w = image.shape
    middle = numpy.array([w - 1, h - 1]) / 2
    result = numpy.zeros((h, w))
    for row, column in itertools.product(range(h), range(w)):
        x, y = matrix @ (numpy.array([column, row]) - middle) + middle + offset
        left, top = int(numpy.floor(x)), int(numpy.floor(y))
        for i, j in itertools.product((0, 1), repeat=2):
            if 0 <= left + i < w and 0 <= top + j < h:
                result[row, column] += (
                    abs(1 - i - (x - left)) * abs(1 - j - (y - top))
                    * image[top + j, left + i])
    return result


@pytest.mark.parametrize('shape', [
    (2, 28, 28), (3, 7, 4), (1, 1, 6), (1, 1, 1)])
@pytest.mark.parametrize('bounds', [
    (10, .1, .1, 2), (180, .5, 1, 10), (0, 0, 0, .5)])
def test_random_affine(shape, bounds):
    degrees, scale, slant, shift = bounds
    images = _images(5, *shape)
    got = augment.random_affine(
        images, *bounds, random=numpy.random.RandomState(0))
    assert got.dtype == numpy.uint8
    draws = numpy.random.RandomState(0).uniform(-1, 1, (6, len(images)))
    for image, result, (a, k, sx, sy, dx, dy) in zip(
            images, got, draws.T, strict=True):
        cos, sin = (f(numpy.radians(degrees) * a)
                    for f in (numpy.cos, numpy.sin))
        matrix = (numpy.array([[cos, -sin], [sin, cos]])
                  @ numpy.array([[1, slant * k], [0, 1]])
                  @ numpy.diag([1 + scale * sx, 1 + scale * sy]))
        for channel, found in zip(image, result, strict=True):
            # Rounded, of float32 coordinates
            numpy.testing.assert_allclose(
                found, _sampled(channel, matrix, (shift * dx, shift * dy)),
                atol=.5 + 255 * 1e-5)


@pytest.mark.parametrize('draws, bounds, expected', [
    ({}, {}, lambda x: x),
    ({'dx': 1}, {'shift': 1}, lambda x: numpy.pad(
        x, ((0, 0), (0, 0), (0, 0), (0, 1)))[..., 1:]),
    ({'dy': -1}, {'shift': 2}, lambda x: numpy.pad(
        x, ((0, 0), (0, 0), (2, 0), (0, 0)))[..., :-2, :]),
    ({'angle': 1}, {'degrees': 90}, lambda x: numpy.rot90(x, 1, (2, 3))),
    ({'angle': -1}, {'degrees': 90}, lambda x: numpy.rot90(x, -1, (2, 3))),
    ({'sx': -1}, {'scale': 2}, lambda x: x[..., ::-1]),
    ({'dx': 1}, {'shift': 100}, numpy.zeros_like)])
def test_random_affine_by_hand(draws, bounds, expected):
    images = _images(2, 3, 6, 6)
    numpy.testing.assert_array_equal(
        augment.random_affine(images, **bounds, random=_Draws(**draws)),
        expected(images))


def test_random_affine_of_none():
    assert augment.random_affine(_images(0, 1, 9, 8)).shape == (0, 1, 9, 8)
