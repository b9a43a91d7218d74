"""What a net sees of a pixel."""
import unittest

import chainer
import numpy
import pytest
from chainer import testing

from bnn.training.learning import inputs

PIXELS = numpy.array([0, 127, 128, 255], numpy.uint8)
CPU = chainer.get_device('@numpy')
STATISTICS = (.1307,), (.3081,)
VALUES = {
    'unit': [0, 127 / 255, 128 / 255, 1],
    'signed': [-1, -1 / 255, 1 / 255, 1],
    'binary': [-1, -1, 1, 1],
    'standard': [-.1307 / .3081, (127 / 255 - .1307) / .3081,
                 (128 / 255 - .1307) / .3081, .8693 / .3081],
}


@testing.inject_backend_tests(
    ['test_values'], [{}, {'use_cuda': True}])
class TestConverter(unittest.TestCase):

    def test_values(self, backend_config):
        images = PIXELS.reshape(2, 1, 1, 2)
        labels = numpy.array([3, 9], numpy.int32)
        for scale, values in VALUES.items():
            convert = inputs.converter(
                images[::-1], labels[::-1], scale, STATISTICS)
            x, t = convert([1, 0], backend_config.device)
            assert isinstance(x, backend_config.xp.ndarray)
            x, t = [chainer.get_device('@numpy').send(a) for a in (x, t)]
            assert x.dtype == numpy.float32
            assert t.dtype == numpy.int32
            assert x.shape == (2, 1, 1, 2)
            numpy.testing.assert_allclose(
                x.ravel(), values, rtol=1e-4, atol=1e-9)
            assert t.tolist() == [3, 9]


def test_all():
    assert set(inputs.SCALES) == set(VALUES)


@pytest.mark.parametrize('scale', sorted(VALUES))
def test_every_pixel(scale):
    pixels = numpy.arange(256, dtype=numpy.uint8)
    convert = inputs.converter(
        pixels.reshape(256, 1, 1, 1), numpy.zeros(256, 'i'), scale,
        STATISTICS)
    y = convert(range(256), CPU)[0].ravel()
    assert y.dtype == numpy.float32
    assert (numpy.diff(y) >= 0).all()
    assert (y[0], y[-1]) == pytest.approx(
        (VALUES[scale][0], VALUES[scale][-1]), rel=1e-6)
    assert len(numpy.unique(y)) == (2 if scale == 'binary' else 256)
    if scale == 'signed':
        numpy.testing.assert_allclose(y, -y[::-1], atol=1e-6)


def test_standard_by_channel():
    images = numpy.random.randint(0, 256, (2, 3, 4, 5), numpy.uint8)
    mean, std = numpy.array([[.1, .2, .3], [.4, .5, .6]])
    x, _ = inputs.converter(
        images, numpy.zeros(2, 'i'), 'standard', (mean, std))([0, 1], CPU)
    assert x.dtype == numpy.float32
    numpy.testing.assert_allclose(
        x, (images / 255 - mean[:, None, None]) / std[:, None, None],
        rtol=1e-4, atol=1e-6)


def test_transform_comes_before_the_scale():
    images = numpy.full((1, 1, 2, 2), 255, numpy.uint8)
    x, _ = inputs.converter(
        images, numpy.zeros(1, 'i'), 'signed', None,
        lambda x: x[..., :1] - 255)([0], CPU)
    numpy.testing.assert_array_equal(x, numpy.full((1, 1, 2, 1), -1., 'f'))


@pytest.mark.parametrize('name', list(inputs.AUGMENTATIONS))
def test_augmentations(name):
    size, cut = (256, 227) if name in (
        'random-crop', 'center-crop') else (32, 32)
    images = numpy.random.randint(0, 256, (40, 3, size, size), numpy.uint8)
    for transform in inputs.AUGMENTATIONS[name][1:]:
        if transform is not None:
            assert transform(images).dtype == numpy.uint8
            assert transform(images).shape == (40, 3, cut, cut)
    if name == 'shift':  # which mirrors nothing, and moves by up to 2
        ramp = numpy.broadcast_to(
            numpy.arange(1, 33, dtype=numpy.uint8), images.shape)
        moved = inputs.AUGMENTATIONS[name].train(ramp)
        assert sorted({*moved[:, 0, 16, 16].tolist()}) == [
            15, 16, 17, 18, 19]


def test_broken_images_are_left_out():
    class Images:
        def read(self, indices):
            assert indices == [2, 0, 1]
            return numpy.zeros((2, 1, 1, 1), numpy.uint8), numpy.array(
                [True, False, True])

    x, t = inputs.converter(
        Images(), numpy.array([5, 6, 7], 'i'), 'unit')([2, 0, 1], CPU)
    assert len(x) == 2
    assert t.tolist() == [7, 6]


testing.run_module(__name__, __file__)
