"""Convolution of signs against the reference."""
import hypothesis
import numpy
import pytest

from bnn.kernels import reference
from bnn.kernels import sign_convolution
from bnn.kernels import sign_images
from tests.helpers import random_cases

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


def packed_and_convolved(x, W, scale, b, stride, pad, dilate):
    packed = sign_images.pack(x, pad)
    return packed, sign_convolution.sign_convolution(
        packed, W, scale, b, stride, dilate)


def convolve(x, W, scale, b, **options):
    packed, found = packed_and_convolved(x, W, scale, b, **options)
    numpy.testing.assert_array_equal(packed.unpack(), x)
    assert packed.unpack().dtype == x.dtype
    expected = reference.sign_convolution(x, W, scale, b, **options)
    assert found.dtype == x.dtype
    # The sum is exact; the scale and the bias are rounded.
    numpy.testing.assert_allclose(
        found, expected, rtol=2 * numpy.finfo(x.dtype).eps,
        atol=2 * numpy.finfo(x.dtype).eps * abs(b).max())


def test_geometries():
    """Signs, and what dropout leaves of them."""
    for geometry in GEOMETRIES:
        for dtype in numpy.float32, numpy.float64:
            options = {'stride': (1, 1), 'pad': (0, 0), 'dilate': (1, 1),
                       **geometry}
            x = reference.binarize(draw(options.pop('shape'), dtype))
            W = draw(options.pop('W'), dtype)
            W.flat[:2] = 0, -0.
            scale, b = abs(draw(len(W), dtype)), draw(len(W), dtype)
            one, zero = numpy.ones_like(scale), numpy.zeros_like(b)
            numpy.testing.assert_array_equal(
                packed_and_convolved(x, W, one, zero, **options)[1],
                reference.sign_convolution(x, W, one, zero, **options))
            convolve(x, W, scale, b, **options)
            dropped = 2 * x * numpy.random.randint(0, 2, x.shape)
            convolve(dropped.astype(dtype), W, scale, b, **options)
            if x.size:
                x[...] = 0
                convolve(x, W, scale, b, **options)


@hypothesis.given(random_cases.geometries())
@random_cases.settings
def test_random_geometries(geometry):
    shape, (n_filters, *ksize), *options = geometry
    x = reference.binarize(draw(shape, 'f'))
    x *= numpy.random.randint(0, 2, shape)
    W, b = draw((n_filters, shape[1], *ksize), 'f'), draw(n_filters, 'f')
    convolve(x, W, abs(b), b, **dict(zip(
        ('stride', 'pad', 'dilate'), options, strict=True)))


def test_views():
    x = reference.binarize(draw((4, 5, 6, 7), 'f'))
    W, b = draw((5, 3, 2, 2), 'f'), draw(5, 'f')
    geometry = {'stride': (1, 1), 'pad': (1, 1), 'dilate': (1, 1)}
    for view, filters in ((x[::2, ::2], W), (x[:, :3].transpose(0, 1, 3, 2),
                                             W[::-1, :, ::-1])):
        convolve(view, filters, abs(b), b, **geometry)


def test_other_values():
    """One other value, anywhere, is seen."""
    for value in .5, -2, numpy.nextafter(numpy.float32(1), 2), numpy.nan:
        for place in 0, -1:
            x = reference.binarize(draw((3, 5, 40, 40), 'f'))
            x.flat[place] = value
            assert sign_images.pack(x, (1, 1)) is None
    for value in numpy.inf, numpy.nan:
        x = numpy.full((1, 5, 4, 4), value, 'f')
        assert sign_images.pack(x, (1, 1)) is None


def test_wrong_dtype():
    x, one = numpy.ones((1, 1, 2, 2), 'f'), numpy.ones(1, 'f')
    with pytest.raises(TypeError, match='floating point'):
        sign_convolution.sign_convolution(
            sign_images.pack(x, (0, 0)), x.astype(int), one, one, (1, 1),
            (1, 1))
