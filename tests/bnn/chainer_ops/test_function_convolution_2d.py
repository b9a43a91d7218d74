"""Convolution: Chainer's, up to the rounding of float32."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer import gradient_check

from bnn.chainer_ops import function_convolution_2d
from bnn.chainer_ops import link_convolution_2d
from bnn.chainer_ops.function_convolution_2d import convolution_2d
from bnn.kernels import convolution

OPTIONS = [{}, {'pad': 1}, {'stride': (2, 1), 'pad': (0, 2)}, {'dilate': 2},
           {'groups': 2}, {'stride': 3, 'pad': 3}]


def draw(*shape, dtype=numpy.float32):
    return numpy.random.standard_normal(shape).astype(dtype)


def results(function, arrays, **options):
    v = [chainer.Variable(array) for array in arrays]
    y = function(*v, **options)
    y.grad = numpy.random.RandomState(0).randn(*y.shape).astype(y.dtype)
    y.backward()
    return [y.array, *(one.grad for one in v)]


def test_against_chainer(monkeypatch):
    calls, gradient = [], convolution.filter_gradient
    monkeypatch.setattr(
        convolution, 'filter_gradient',
        lambda *args: calls.append(args) or gradient(*args))
    for dtype in numpy.float32, numpy.float64, numpy.float16:
        for options in OPTIONS:
            for bias in False, True:
                W = draw(6, 4 // options.get('groups', 1), 3, 2, dtype=dtype)
                arrays = [draw(3, 4, 8, 9, dtype=dtype), W]
                if bias:
                    arrays.append(draw(6, dtype=dtype))
                # Gradients of float16 sum up in another order.
                tolerance = 1e-2 if dtype == numpy.float16 else 1e-4
                for one, other in zip(
                        results(convolution_2d, arrays, **options),
                        results(F.convolution_2d, arrays, **options),
                        strict=True):
                    assert one.dtype == dtype
                    numpy.testing.assert_allclose(
                        one, other, rtol=tolerance, atol=tolerance)
                is_fast = dtype == numpy.float32 and 'groups' not in options
                assert len(calls) == is_fast
                calls.clear()


def test_only_what_is_wanted():
    """No gradient of images, as of the first layer."""
    x, W = draw(2, 3, 6, 6), chainer.Variable(draw(4, 3, 3, 3))
    y = convolution_2d(x, W, pad=1)
    y.grad = draw(*y.shape)
    y.backward()
    assert W.grad.shape == W.shape
    v = chainer.Variable(x)
    y = convolution_2d(v, W.array, pad=1)
    y.grad = draw(*y.shape)
    y.backward()
    assert v.grad.shape == x.shape


def test_double_backward():
    x, W, b = (draw(*shape, dtype=numpy.float64) for shape in (
        (2, 2, 4, 5), (3, 2, 3, 3), (3,)))
    y = convolution_2d(x, W, b, pad=1)
    gradient_check.check_double_backward(
        lambda *args: convolution_2d(*args, pad=1), (x, W, b),
        draw(*y.shape, dtype=numpy.float64),
        tuple(draw(*v.shape, dtype=numpy.float64) for v in (x, W, b)),
        dtype=numpy.float64, rtol=1e-5, atol=1e-6)


def test_wrong_shapes():
    with pytest.raises(AssertionError, match='positive'):
        convolution_2d(draw(1, 2, 3, 3), draw(1, 2, 4, 4))
    with pytest.raises(chainer.utils.type_check.InvalidType):
        convolution_2d(draw(1, 2, 3, 3), draw(1, 3, 2, 2))


def test_link():
    x = draw(2, 3, 7, 8)
    ours = link_convolution_2d.Convolution2D(None, 5, 3, pad=1, dilate=2)
    y = ours(x)
    assert isinstance(y.creator,
                      function_convolution_2d.Convolution2DFunction)
    chainers = L.Convolution2D(3, 5, 3, pad=1, dilate=2)
    chainers.copyparams(ours)
    numpy.testing.assert_allclose(y.array, chainers(x).array, rtol=1e-4,
                                  atol=1e-5)
