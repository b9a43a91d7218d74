"""What a net sees of a pixel."""
import unittest

import chainer
import numpy
import pytest
from chainer import testing

from bnn.training import inputs

PIXELS = numpy.array([0, 127, 128, 255], numpy.uint8)
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
        batch = list(zip(images, labels, strict=True))
        for scale, values in VALUES.items():
            x, t = inputs.converter(scale)(batch, backend_config.device)
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
    x = numpy.arange(256, dtype=numpy.uint8)
    y = inputs.SCALES[scale](x)
    assert y.dtype == numpy.float32
    assert (numpy.diff(y) >= 0).all()
    assert (y[0], y[-1]) == pytest.approx(
        (VALUES[scale][0], VALUES[scale][-1]), rel=1e-6)
    assert len(numpy.unique(y)) == (2 if scale == 'binary' else 256)
    if scale == 'signed':
        numpy.testing.assert_allclose(y, -y[::-1], atol=1e-6)


testing.run_module(__name__, __file__)
