"""Contrast and whitening against their definitions in float64."""
import numpy
import pytest

from bnn import errors
from bnn.kernels import whitening
from tests.helpers import devices

SHAPE = 3, 4, 5
N = 60


def draw(n=1500):
    """Images whose neighbours look alike."""
    random = numpy.random.RandomState(0)
    x = random.uniform(0, 255, (n, 3, 5, 6))
    x = x[:, :, 1:, 1:] + x[:, :, :-1, 1:] + x[:, :, 1:, :-1]
    return (x / 3 + random.uniform(-40, 40, (n, 1, 1, 1))).clip(
        0, 255).astype(numpy.uint8)


@pytest.fixture(scope='module')
def images():
    return draw()


@pytest.fixture(scope='module')
def fitted(images):
    return whitening.fit(images)


def contrast(images):
    """In float64, image by image."""
    y = []
    for image in images.reshape(len(images), -1).astype(numpy.float64):
        image = image - image.mean()
        y.append(55 * image / numpy.sqrt((image ** 2).sum()))
    return numpy.array(y)


@devices.each
def test_contrast(device, images):
    device = devices.get(device)
    x = images[:9].reshape(9, -1).astype('f') / 255
    y = devices.to_cpu(whitening.normalize_contrast(device.send(x)))
    assert y.dtype == numpy.float32
    numpy.testing.assert_allclose(y, contrast(images[:9]), atol=1e-4)
    # Brighter, or of twice the contrast, an image is the same.
    numpy.testing.assert_allclose(
        whitening.normalize_contrast(2 * x - .5), y, atol=1e-4)


def test_contrast_of_one_value():
    """It is 0, and that of the faintest other image is 55."""
    x = numpy.arange(256, dtype='f').repeat(3072).reshape(256, -1) / 255
    numpy.testing.assert_allclose(
        whitening.normalize_contrast(x), 0, atol=1e-3)
    x[:255, 7] += numpy.float32(1 / 255)
    numpy.testing.assert_allclose(numpy.linalg.norm(
        whitening.normalize_contrast(x[:255]), axis=1), 55, rtol=1e-3)


def test_fit_against_the_eigen_decomposition(images, fitted):
    x = contrast(images)
    mean = x.mean(axis=0)
    covariance = numpy.cov(x.T, bias=True)
    values, vectors = numpy.linalg.eigh(covariance)
    assert values[0] < 1e-9  # a contrast has one dimension less
    expected = sum(numpy.outer(v, v) / numpy.sqrt(value + .1)
                   for value, v in zip(values, vectors.T))
    assert [array.dtype for array in fitted] == [numpy.float32] * 2
    numpy.testing.assert_allclose(fitted.mean, mean, atol=1e-5)
    numpy.testing.assert_allclose(fitted.matrix, expected, atol=1e-5)
    # What is whitened has no correlations, but for the 0.1.
    white = whitening.whiten(images / 255., *fitted).reshape(len(images), -1)
    numpy.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-5)
    numpy.testing.assert_allclose(
        numpy.cov(white.T, bias=True),
        vectors @ numpy.diag(values / (values + .1)) @ vectors.T, atol=1e-4)


def test_inverted(images, fitted):
    x = numpy.float64(images[:7]) / 255
    y = whitening.whiten(x, *fitted)
    assert y.shape == x.shape
    numpy.testing.assert_allclose(
        numpy.linalg.solve(fitted.matrix.astype(float), y.reshape(7, -1).T).T
        + fitted.mean, contrast(images[:7]), atol=1e-6)


@devices.each
def test_whiten(device, images, fitted):
    device = devices.get(device)
    y = devices.to_cpu(whitening.whiten(*device.send(
        (images[:7].astype('f') / 255, *fitted))))
    assert y.dtype == numpy.float32 and y.shape == (7, *SHAPE)
    numpy.testing.assert_allclose(y.reshape(7, -1), (
        contrast(images[:7]) - fitted.mean) @ fitted.matrix, atol=1e-4)


def test_too_few(images):
    assert len(whitening.fit(images[:N]).mean) == N
    with pytest.raises(errors.UserError, match=f'the {N} values of an image '
                       f'.* there are {N - 1}:'):
        whitening.fit(images[:N - 1])


def test_check(fitted):
    found = whitening.check(fitted._asdict(), N)
    for ours, theirs in zip(found, fitted):
        numpy.testing.assert_array_equal(ours, theirs)
    nan = fitted.matrix.copy()
    nan[3, 4] = numpy.nan
    for arrays, n, words in (
            ({}, N, 'no mean'), ({'mean': fitted.mean}, N, 'no matrix'),
            (fitted._asdict(), N + 1, r'mean is float32 \(60,\), not float32 '
             r'\(61,\)'),
            ({**fitted._asdict(), 'matrix': fitted.matrix[:, :-1]}, N,
             r'matrix is float32 \(60, 59\)'),
            ({**fitted._asdict(), 'mean': numpy.zeros(N)}, N, 'is float64'),
            ({**fitted._asdict(), 'matrix': nan}, N, 'NaN')):
        with pytest.raises(ValueError, match=words):
            whitening.check(arrays, n)
