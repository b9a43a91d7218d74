"""Convolutions and their gradients against the reference in float64."""
import hypothesis
import numpy
import pytest
from hypothesis import strategies

from bnn.kernels import convolution
from bnn.kernels import convolution_operands as operands
from bnn.kernels import float_tiles
from bnn.kernels import products
from bnn.kernels import reference
from bnn.kernels import sign_images
from tests.helpers import random_cases

GEOMETRIES = [  # x, filters and ksize, stride, pad, dilate
    ((2, 3, 7, 9), (5, 3, 3), (1, 1), (1, 1), (1, 1)),
    ((3, 17, 13, 11), (13, 3, 2), (2, 1), (1, 2), (1, 2)),
    ((2, 3, 23, 23), (8, 5, 5), (4, 4), (0, 0), (1, 1)),
    ((2, 3, 9, 9), (8, 1, 1), (1, 1), (2, 2), (1, 1)),
    ((5, 20, 12, 12), (50, 5, 5), (1, 1), (0, 0), (1, 1)),
    ((1, 1, 1, 1), (1, 1, 1), (1, 1), (0, 0), (1, 1)),
    ((2, 40, 16, 16), (7, 5, 5), (1, 1), (2, 2), (1, 1)),
    ((2, 2, 8, 7), (6, 3, 3), (3, 2), (1, 0), (2, 1)),
    ((9, 64, 8, 8), (12, 1, 1), (1, 1), (0, 0), (1, 1)),
    ((2, 3, 1, 1), (4, 1, 1), (3, 3), (1, 1), (1, 1)),  # the padding alone
    ((67, 5, 3, 3), (9, 3, 3), (1, 1), (0, 0), (1, 1)),  # one place
    ((23, 16, 5, 4), (3, 2, 2), (1, 2), (1, 0), (1, 1)),
]
EPS = 2. ** -23


def draw(*shape):
    return numpy.random.standard_normal(shape).astype('f')


def assert_close(found, function, *args):
    """A sum of k terms is off by k eps of the sum of their sizes at most."""
    wide = [arg.astype('d') if isinstance(arg, numpy.ndarray) else arg
            for arg in args]
    sizes = [abs(arg) if isinstance(arg, numpy.ndarray) else arg
             for arg in wide]
    expected, bound = function(*wide), function(*sizes)
    if not isinstance(found, tuple):
        found, expected, bound = (found,), (expected,), (bound,)
    n_terms = max(arg.size for arg in args if isinstance(arg, numpy.ndarray))
    for one, other, size in zip(found, expected, bound, strict=True):
        assert one.dtype == numpy.float32 and one.shape == other.shape
        assert (abs(one - other) <= n_terms * EPS * size + 1e-30).all()


def check(x, filters, stride, pad, dilate, precision='float32'):
    geometry = stride, pad, dilate
    x = draw(*x)
    n_filters, *ksize = filters
    W, b = draw(n_filters, x.shape[1], *ksize), draw(n_filters)
    y = convolution.convolve(x, W, *geometry, b)
    assert_close(y, reference.convolve, x, W, *geometry, b)
    gy, size, ksize = draw(*y.shape), x.shape[2:], tuple(ksize)
    for function, args in (
            ('input_gradient', (gy, W, *geometry, size, None, precision)),
            ('input_gradient', (gy, reference.binarize(W), *geometry, size,
                                abs(b), precision)),
            ('filter_gradient', (x, gy, *geometry, ksize, precision))):
        assert_close(getattr(convolution, function)(*args),
                     getattr(reference, function), *args)


@pytest.mark.parametrize('precision', products.PRECISIONS)
@pytest.mark.parametrize('unit', range(len(float_tiles.NAMES)))
@hypothesis.given(random_cases.geometries(),
                  strategies.sampled_from([1, 1 << 13, 1 << 15, 1 << 19]))
@hypothesis.settings(random_cases.settings, max_examples=40)
def test_random_geometries(unit, precision, geometry, n_bytes):
    """Groups have one image, or some and fewer at the end, or all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(float_tiles, 'UNIT', unit)
        patch.setattr(operands, 'GROUP', n_bytes)
        check(*geometry, precision=precision)


@pytest.mark.parametrize('precision', products.PRECISIONS)
@pytest.mark.parametrize('unit', range(len(float_tiles.NAMES)))
def test_geometries(unit, precision, monkeypatch):
    monkeypatch.setattr(float_tiles, 'UNIT', unit)
    for geometry in GEOMETRIES:
        check(*geometry, precision=precision)


@pytest.mark.parametrize('precision', products.PRECISIONS)
@pytest.mark.parametrize('unit', range(len(float_tiles.NAMES)))
def test_packed_images(unit, precision, monkeypatch):
    """Signs alone, and what dropout leaves of them."""
    monkeypatch.setattr(float_tiles, 'UNIT', unit)
    for shape, (n_filters, *ksize), *geometry in GEOMETRIES:
        for x in (reference.binarize(draw(*shape)),
                  numpy.random.randint(-1, 2, shape) * numpy.float32(1 / .7)):
            x = x.astype('f')
            W = draw(n_filters, x.shape[1], *ksize)
            gy = draw(*reference.convolve(x, W, *geometry).shape)
            args = gy, *geometry, tuple(ksize), precision
            assert_close(convolution.filter_gradient(
                sign_images.pack(x, geometry[1]), *args),
                         reference.filter_gradient, x, *args)


def test_gradients_that_are_not_finite():
    """0 times infinity is no number, in the padding too."""
    x = numpy.random.randint(-1, 2, (3, 4, 6, 6)).astype('f')
    W, one = reference.binarize(draw(5, 4, 3, 3)), numpy.ones(5, 'f')
    geometry = (1, 1), (1, 1), (1, 1)
    packed = sign_images.pack(x, geometry[1])
    gy = draw(3, 5, 6, 6)
    gy[0, 0, 0, 0], gy[1, 1, 2, 3], gy[2, 2, 5, 5] = (
        numpy.inf, numpy.nan, -numpy.inf)
    with numpy.errstate(invalid='ignore'):
        for found, expected in (
                (convolution.filter_gradient(packed, gy, *geometry, (3, 3)),
                 reference.filter_gradient(x, gy, *geometry, (3, 3))),
                ([convolution.input_gradient(gy, W, *geometry, (6, 6), one)],
                 [reference.input_gradient(gy, W, *geometry, (6, 6), one)])):
            for one_found, one_expected in zip(found, expected, strict=True):
                for is_odd in numpy.isnan, numpy.isinf:
                    numpy.testing.assert_array_equal(
                        is_odd(one_found), is_odd(one_expected))


def test_scale_is_rounded_with_the_gradient():
    scale = abs(draw(4))
    W = reference.binarize(draw(4, 5, 3, 3)) * scale[:, None, None, None]
    args = (draw(3, 4, 9, 7), W, (1, 1), (1, 1), (1, 1), (9, 7), scale,
            'bfloat16')
    found = convolution.input_gradient(*args)
    expected = reference.input_gradient(*(
        arg.astype('d') if isinstance(arg, numpy.ndarray) else arg
        for arg in args[:6]), *args[6:])
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_odd_arrays():
    geometry = (1, 1), (1, 1), (1, 1)
    W = draw(6, 4, 3, 3)
    empty = numpy.zeros((0, 4, 5, 5), 'f')
    y = convolution.convolve(empty, W, *geometry)
    assert y.shape == (0, 6, 5, 5)
    assert convolution.input_gradient(
        y, W, *geometry, (5, 5)).shape == empty.shape
    gW, gb = convolution.filter_gradient(empty, y, *geometry, (3, 3))
    assert gW.shape == W.shape and not gW.any() and not gb.any()
    x = draw(5, 6, 8, 8).transpose(1, 0, 3, 2)[:, :4]
    assert_close(convolution.convolve(x, W, *geometry),
                 reference.convolve, x, W, *geometry)
    x[0, 0, 0, 0], x[1, 0, 0, 0] = numpy.nan, numpy.inf
    y = convolution.convolve(x, W, *geometry)
    expected = reference.convolve(x.astype('d'), W.astype('d'), *geometry)
    numpy.testing.assert_array_equal(numpy.isnan(y), numpy.isnan(expected))
    numpy.testing.assert_array_equal(numpy.isinf(y), numpy.isinf(expected))


@pytest.mark.parametrize('n, n_places, n_bytes, n_threads, group', [
    (100, 196, 1 << 18, 1, 2),  # 7 panels and not 2 times 4
    (100, 900, 1 << 14, 1, 1),  # many places
    (100, 64, 1, 2, 1),
    (128, 144, 1 << 14, 2, 4),  # 9 whole panels
    (100, 1, 1, 2, 50),
    (3, 9, 1 << 30, 1, 1),  # no two stay in the cache
    (1, 5, 1, 8, 1)])
def test_images_that_share_panels(n, n_places, n_bytes, n_threads, group):
    assert operands.choose_group(n, n_places, n_bytes, n_threads) == group


@pytest.mark.parametrize('pad', [0, 1])
def test_groups_give_the_same_bits(pad, monkeypatch):
    x, W = draw(23, 5, 6, 7), draw(9, 5, 3, 3)
    geometry = (1, 1), (pad, pad), (1, 1)

    def compute():
        y = convolution.convolve(x, W, *geometry)
        return y, convolution.input_gradient(y, W, *geometry, x.shape[2:])

    expected = compute()
    monkeypatch.setattr(operands, 'GROUP', 1)
    for one, other in zip(compute(), expected, strict=True):
        numpy.testing.assert_array_equal(one, other)


def test_same_result_twice():
    x, gy = draw(16, 8, 16, 16), draw(16, 12, 16, 16)
    results = [convolution.filter_gradient(
        x, gy, (1, 1), (1, 1), (1, 1), (3, 3))[0] for _ in range(3)]
    for other in results[1:]:
        numpy.testing.assert_array_equal(results[0], other)
