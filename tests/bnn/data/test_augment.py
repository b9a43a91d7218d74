import hashlib
import itertools

import numpy
import pytest

from bnn.data import augment


@pytest.fixture(autouse=True)
def global_state():
    state = numpy.random.get_state()
    yield
    numpy.random.set_state(state)


def _seeded(seed, vary, *args, **kwargs):
    numpy.random.seed(seed)
    return vary(*args, **kwargs)


def _outcomes(image, pad):
    _, h, w = image.shape
    padded = numpy.pad(image, ((0, 0), (pad, pad), (pad, pad)))
    for top, left in itertools.product(range(2 * pad + 1), repeat=2):
        crop = padded[:, top:top + h, left:left + w]
        yield from (crop, crop[:, :, ::-1])


def _images(n, c, h, w):
    # All pixels of an image differ and none is 0.
    images = numpy.arange(1, c * h * w + 1).reshape(c, h, w)
    return ((images + numpy.arange(n)[:, None, None, None] * 7) % 251 + 1
            ).astype(numpy.uint8)


def test_every_outcome_and_no_other():
    for shape, pad in itertools.product(
            ((1, 3, 3), (3, 4, 4), (3, 2, 5), (2, 5, 1), (1, 1, 1)),
            (0, 1, 2, 4)):
        images = _images(1, *shape).repeat(3000, axis=0)
        got = _seeded(0, augment.pad_crop_flip, images, pad)
        assert got.dtype == numpy.uint8
        assert got.shape == images.shape
        assert got.flags.c_contiguous
        assert {image.tobytes() for image in got} == {
            o.tobytes() for o in _outcomes(images[0], pad)}


def test_each_image_has_its_own():
    images = _images(600, 3, 4, 6)
    chosen = []
    for image, result in zip(
            images, _seeded(1, augment.pad_crop_flip, images, 2), strict=True):
        matches = [i for i, outcome in enumerate(_outcomes(image, 2))
                   if (outcome == result).all()]
        assert len(matches) == 1
        chosen += matches
    assert len(set(chosen)) == 50  # all of 2 * 5 * 5


def test_outcomes_are_equally_likely():
    images = _images(1, 1, 3, 4).repeat(50 * 400, axis=0)
    index = {o.tobytes(): i for i, o in enumerate(_outcomes(images[0], 2))}
    counts = numpy.bincount([index[g.tobytes()] for g in _seeded(
        2, augment.pad_crop_flip, images, 2)], minlength=50)
    # Chi squared with 49 degrees of freedom: 100 has a probability of 2e-5
    assert ((counts - 400) ** 2 / 400).sum() < 100

    images = _images(1, 3, 5, 7).repeat(4000, axis=0)
    got = _seeded(0, augment.random_crop_flip, images, 4)
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


def test_draws_stay_what_they_were():
    # So that the log of a seed stays what it was
    for vary, args, want in (
            (augment.pad_crop_flip, (_images(200, 1, 4, 4), 2),
             '743498c6794a8b948483ebbbd1789257'),
            (augment.random_crop_flip, (_images(50, 3, 9, 8), 5),
             '4c82a524d297fff446807efc4b5abc9f'),
            (augment.random_affine, (_images(50, 2, 9, 8),),
             'd878649f950971d8e39b053e7432d749')):
        got = _seeded(7, vary, *args).tobytes()
        assert hashlib.blake2b(got, digest_size=16).hexdigest() == want


def test_inputs():
    # Strided, of other types, none at all; never changed
    varies = (augment.pad_crop_flip, augment.random_affine,
              lambda images: augment.random_crop_flip(images, 5))
    for vary, dtype in itertools.product(varies, ('uint8', 'int8', 'float32')):
        images = _images(20, 3, 8, 9).astype(dtype)[::-2, :, ::-1]
        before = images.copy()
        got = _seeded(3, vary, images)
        assert got.dtype == dtype
        numpy.testing.assert_array_equal(images, before)
        numpy.testing.assert_array_equal(got, _seeded(3, vary, before))
        assert (got != _seeded(4, vary, before)).any()
        assert vary(images[:0]).shape == (0, *got.shape[1:])


def test_without_flips():
    images = _images(200, 1, 4, 4)
    numpy.testing.assert_array_equal(
        augment.pad_crop_flip(images, 0, flip=False), images)


def test_on_a_device():
    # CuPy's way, here on NumPy's arrays
    images = _images(60, 3, 9, 8)[:, ::-1]
    tops, lefts = (numpy.random.randint(0, n, 60) for n in (5, 3))
    args = images, 5, 6, tops, lefts, numpy.random.randint(0, 2, 60) > 0
    got = augment._gather(*args)
    assert got.dtype == numpy.uint8
    numpy.testing.assert_array_equal(got, augment._cut(*args))


def test_center_crop():
    for shape, size, top, left in (
            ((256, 256), 227, 14, 14), ((5, 8), 4, 0, 2), ((4, 4), 4, 0, 0),
            ((6, 7), 3, 1, 2), ((3, 3), 1, 1, 1)):
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


@pytest.mark.parametrize('bounds', [
    (10, .1, .1, 2), (180, .5, 1, 10), (0, 0, 0, .5)])
def test_random_affine(bounds):
    degrees, scale, slant, shift = bounds
    for shape in (1, 28, 28), (3, 7, 4), (1, 1, 6), (1, 1, 1):
        images = _images(5, *shape)
        got = _seeded(0, augment.random_affine, images, *bounds)
        draws = _seeded(0, numpy.random.uniform, -1, 1, (6, len(images)))
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


def test_random_affine_by_hand(monkeypatch):
    images = _images(2, 3, 6, 6)
    # angle, slant, two scales, two shifts
    for draws, bounds, expected in (
            ([0] * 6, {}, images),
            ([0, 0, 0, 0, 1, 0], {'shift': 1}, numpy.pad(
                images, ((0, 0), (0, 0), (0, 0), (0, 1)))[..., 1:]),
            ([0, 0, 0, 0, 0, -1], {'shift': 2}, numpy.pad(
                images, ((0, 0), (0, 0), (2, 0), (0, 0)))[..., :-2, :]),
            ([1, 0, 0, 0, 0, 0], {'degrees': 90},
             numpy.rot90(images, 1, (2, 3))),
            ([-1, 0, 0, 0, 0, 0], {'degrees': 90},
             numpy.rot90(images, -1, (2, 3))),
            ([0, 0, -1, 0, 0, 0], {'scale': 2}, images[..., ::-1]),
            ([0, 0, 0, 0, 1, 0], {'shift': 100}, images * 0)):
        draws = numpy.array(draws, float)[:, None, None, None]
        monkeypatch.setattr(
            numpy.random, 'uniform', lambda low, high, size, draws=draws:
            numpy.broadcast_to(draws, size))
        numpy.testing.assert_array_equal(
            augment.random_affine(images, **bounds), expected)
