"""What a net sees of a pixel."""
import chainer
import numpy
import pytest

from bnn import errors
from bnn.kernels import whitening
from bnn.training.learning import inputs
from tests.helpers import devices

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
UNIT = inputs.rescaler('unit')


class Files:
    """Images from files; of those in ``broken`` nothing can be read."""

    def __init__(self, whole, broken=()):
        self._whole = whole
        self._broken = broken

    def read(self, indices):
        kept = numpy.array([i not in self._broken for i in indices])
        return self._whole[numpy.asarray(indices)][kept], kept


@devices.each
def test_values(device):
    device = devices.get(device)
    images = PIXELS.reshape(2, 1, 1, 2)
    labels = numpy.array([3, 9], numpy.int32)
    for scale, values in VALUES.items():
        for some in images[::-1], Files(images[::-1]):
            convert = inputs.converter(
                some, labels[::-1], inputs.rescaler(scale, STATISTICS))
            x, t = convert([1, 0], device)
            assert isinstance(x, device.supported_array_types)
            x, t = map(devices.to_cpu, (x, t))
            assert x.dtype == numpy.float32
            assert t.dtype == numpy.int32
            assert x.shape == (2, 1, 1, 2)
            numpy.testing.assert_allclose(
                x.ravel(), values, rtol=1e-4, atol=1e-9)
            assert t.tolist() == [3, 9]


def test_every_pixel():
    assert set(inputs.SCALES) == {*VALUES, 'whitened'}
    pixels = numpy.arange(256, dtype=numpy.uint8).reshape(256, 1, 1, 1)
    for scale, values in VALUES.items():
        y = inputs.rescaler(scale, STATISTICS)(pixels).ravel()
        assert y.dtype == numpy.float32
        assert (numpy.diff(y) >= 0).all()
        assert (y[0], y[-1]) == pytest.approx(
            (values[0], values[-1]), rel=1e-6)
        assert len(numpy.unique(y)) == (2 if scale == 'binary' else 256)
        if scale == 'signed':
            numpy.testing.assert_allclose(y, -y[::-1], atol=1e-6)


def test_standard_by_channel():
    images = numpy.random.randint(0, 256, (2, 3, 4, 5), numpy.uint8)
    mean, std = numpy.array([[.1, .2, .3], [.4, .5, .6]])
    x = inputs.rescaler('standard', (mean, std))(images)
    assert x.dtype == numpy.float32
    numpy.testing.assert_allclose(
        x, (images / 255 - mean[:, None, None]) / std[:, None, None],
        rtol=1e-4, atol=1e-6)


@devices.each
def test_whitened(device):
    device = devices.get(device)
    random = numpy.random.RandomState(0)
    images = random.randint(0, 256, (5, 3, 2, 2)).astype(numpy.uint8)
    found = whitening.Whitening(
        random.randn(12).astype('f'), random.randn(12, 12).astype('f'))
    rescale = inputs.rescaler('whitened', found)
    for _ in range(2):
        x = rescale(device.send(images))
        assert isinstance(x, device.supported_array_types)
        assert x.dtype == numpy.float32
        numpy.testing.assert_allclose(devices.to_cpu(x), whitening.whiten(
            images / 255, *found), rtol=1e-3, atol=1e-3)


def test_transform_comes_before_the_scale():
    images = numpy.full((1, 1, 2, 2), 255, numpy.uint8)
    x, _ = inputs.converter(
        images, numpy.zeros(1, 'i'), inputs.rescaler('signed'),
        lambda x: x[..., :1] - 255)([0], CPU)
    numpy.testing.assert_array_equal(x, numpy.full((1, 1, 2, 1), -1., 'f'))


def test_images_stay():
    images = numpy.random.randint(0, 256, (4, 1, 3, 3), numpy.uint8)
    before = images.copy()
    for name, augmentation in inputs.AUGMENTATIONS.items():
        if not augmentation.is_of_pictures:
            x, _ = inputs.converter(
                images, numpy.zeros(4, 'i'), UNIT, augmentation.train)(
                    [0, 1], CPU)
            x += 1
            numpy.testing.assert_array_equal(images, before, name)


def test_augmentations():
    for augmentation in inputs.AUGMENTATIONS.values():
        size, cut = (256, 227) if augmentation.is_of_pictures else (32, 32)
        images = numpy.random.randint(
            0, 256, (4, 3, size, size), numpy.uint8)
        for transform in augmentation.train, augmentation.test:
            if transform is not None:
                assert transform(images).dtype == numpy.uint8
                assert transform(images).shape == (4, 3, cut, cut)
        assert (augmentation.test is not None) == augmentation.is_of_pictures
    # Shifts mirror nothing, and move by up to 2.
    ramp = numpy.broadcast_to(
        numpy.arange(1, 33, dtype=numpy.uint8), (80, 1, 32, 32))
    moved = inputs.AUGMENTATIONS['shift'].train(ramp)
    assert sorted({*moved[:, 0, 16, 16].tolist()}) == [15, 16, 17, 18, 19]


def test_broken_images_are_left_out():
    whole = numpy.arange(10, dtype='u1').reshape(10, 1, 1, 1)
    convert = inputs.converter(
        Files(whole, {3, 4}), numpy.arange(10), lambda x: x)
    x, t = convert([4, 5, 3, 7], CPU)
    assert x.ravel().tolist() == t.tolist() == [5, 7]
    with pytest.raises(errors.UserError, match='all 2 images'):
        convert([3, 4], CPU)
    with chainer.using_config('train', False):
        x, t = convert([3, 4], CPU)
        assert len(x) == len(t) == 0


def test_draws_do_not_depend_on_the_broken():
    whole = numpy.zeros((10, 1, 2, 2), 'u1')
    states = []
    for images in Files(whole), Files(whole, {1}):
        numpy.random.seed(0)
        inputs.converter(
            images, numpy.arange(10), UNIT,
            inputs.AUGMENTATIONS['shift'].train)([0, 1, 2], CPU)
        states.append(numpy.random.randint(1 << 30))
    assert states[0] == states[1]


def test_gather():
    whole = numpy.arange(8, dtype='u1').reshape(4, 1, 1, 2)
    for images in whole, Files(whole):
        x, kept = inputs.gather(images, [2, 0])
        assert x.ravel().tolist() == [4, 5, 0, 1]
        assert kept is None
    x, kept = inputs.gather(Files(whole, {0}), [2, 0])
    assert x.ravel().tolist() == [4, 5, 0, 0]
    assert kept.tolist() == [True, False]
