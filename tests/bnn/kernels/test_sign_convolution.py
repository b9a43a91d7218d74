"""Convolution of signs against the reference and Chainer's."""
import chainer.functions as F
import numpy
import pytest

from bnn.kernels import reference
from bnn.kernels import sign_convolution

GEOMETRIES = [
    dict(shape=(2, 3, 5, 6), W=(4, 3, 3, 3), pad=(1, 1)),
    dict(shape=(1, 33, 9, 8), W=(7, 33, 5, 3), stride=(2, 1), pad=(2, 0),
         dilate=(1, 2)),
    dict(shape=(3, 64, 12, 12), W=(6, 64, 1, 1)),
    dict(shape=(2, 20, 12, 12), W=(50, 20, 5, 5)),
    dict(shape=(1, 2, 3, 3), W=(1, 2, 3, 3), stride=(3, 3), pad=(3, 3),
         dilate=(2, 2)),
    dict(shape=(2, 32, 1, 1), W=(13, 32, 1, 1)),
    dict(shape=(0, 3, 5, 5), W=(2, 3, 3, 3)),
    dict(shape=(1, 100, 17, 3), W=(12, 100, 3, 3), pad=(0, 2)),
]


def draw(shape, dtype):
    return numpy.random.standard_normal(shape).astype(dtype)


def test_geometries():
    for geometry in GEOMETRIES:
        for dtype in numpy.float32, numpy.float64:
            options = {'stride': (1, 1), 'pad': (0, 0), 'dilate': (1, 1),
                       **geometry}
            x = reference.binarize(draw(options.pop('shape'), dtype))
            W = draw(options.pop('W'), dtype)
            W.flat[:2] = 0, -0.
            y = sign_convolution.sign_convolution(x, W, **options)
            assert y.dtype == dtype
            numpy.testing.assert_array_equal(
                y, reference.sign_convolution(x, W, **options))
            if len(x):
                numpy.testing.assert_array_equal(y, F.convolution_2d(
                    x, reference.binarize(W), **options).array)


def test_views():
    x = reference.binarize(draw((4, 5, 6, 7), 'f'))
    W = draw((5, 3, 2, 2), 'f')
    geometry = (1, 1), (1, 1), (1, 1)
    for view, filters in ((x[::2, ::2], W), (x[:, :3].transpose(0, 1, 3, 2),
                                             W[::-1, :, ::-1])):
        numpy.testing.assert_array_equal(
            sign_convolution.sign_convolution(view, filters, *geometry),
            reference.sign_convolution(view, filters, *geometry))


def test_wrong_dtype():
    x = numpy.ones((1, 1, 2, 2), int)
    with pytest.raises(TypeError, match='floating point'):
        sign_convolution.sign_convolution(x, x, (1, 1), (0, 0), (1, 1))
