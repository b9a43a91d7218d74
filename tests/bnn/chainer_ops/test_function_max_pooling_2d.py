"""Max-pooling: Chainer's, bit for bit, in another way."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

from bnn.chainer_ops import function_max_pooling_2d
from bnn.chainer_ops.function_max_pooling_2d import max_pooling_2d

SHAPES = [(2, 3, 8, 8), (1, 1, 2, 2), (3, 2, 7, 9), (2, 1, 24, 24),
          (70, 20, 24, 24)]
OPTIONS = [dict(ksize=2), dict(ksize=2, cover_all=False),
           dict(ksize=2, stride=1), dict(ksize=1)]
WIDE = [dict(ksize=3, stride=2), dict(ksize=3, stride=2, cover_all=False),
        dict(ksize=3, stride=1), dict(ksize=3, stride=2, pad=1),
        dict(ksize=3, stride=2, pad=1, cover_all=False),
        dict(ksize=3, stride=3, pad=2), dict(ksize=2, pad=3)]


def draw(shape, dtype=numpy.float32):
    # Few values, so that many are equal
    return numpy.random.randint(-2, 3, shape).astype(dtype)


def both(x, **options):
    """Results and gradients of ours and of Chainer's."""
    results = []
    for pool in max_pooling_2d, F.max_pooling_2d:
        v = chainer.Variable(x)
        y = pool(v, **options)
        y.grad = numpy.random.RandomState(0).randn(*y.shape).astype(x.dtype)
        y.backward()
        results.append((y.array, v.grad, y.creator))
    return results


def test_chainers_bits():
    for dtype in numpy.float32, numpy.float64:
        for shape, options in [
                *((shape, options) for shape in SHAPES for options in OPTIONS),
                *((shape, options) for shape in SHAPES[2:]
                  for options in WIDE)]:
            ours, chainers = both(draw(shape, dtype), **options)
            assert isinstance(ours[2], function_max_pooling_2d.MaxPooling2D)
            for a, b in zip(ours[:2], chainers[:2], strict=True):
                assert a.dtype == dtype
                numpy.testing.assert_array_equal(a, b)


def test_special():
    nan, inf = numpy.nan, numpy.inf
    x = numpy.array([[[[-inf, -inf, nan, 1], [-inf, -inf, 2, nan],
                       [1, inf, -0., 0.], [inf, nan, -1, -2]]]], 'f')
    for options in (dict(ksize=2), dict(ksize=3, stride=2, pad=1),
                    dict(ksize=2, pad=1)):
        ours, chainers = both(x, **options)
        for a, b in zip(ours[:2], chainers[:2], strict=True):
            numpy.testing.assert_array_equal(a, b)


def test_chainers_own():
    for x, options in ((draw((2, 3, 8, 8), numpy.float16), dict(ksize=2)),
                       (draw((2, 3, 9, 9)), dict(ksize=2, stride=3)),
                       (draw((2, 3, 20, 20)), dict(ksize=16)),
                       (draw((2, 3, 2, 2)), dict(ksize=3))):
        ours, chainers = both(x, **options)
        assert not isinstance(
            ours[2], function_max_pooling_2d.MaxPooling2D)
        numpy.testing.assert_array_equal(ours[0], chainers[0])


def test_empty_batch():
    for pool in max_pooling_2d, F.max_pooling_2d:
        with pytest.raises(type_check.InvalidType):
            pool(draw((0, 3, 8, 8)), 2)


def test_layouts():
    x = draw((4, 6, 8, 8))
    for v in x[::2], x[:, ::2], x.transpose(0, 1, 3, 2), x[..., ::-1]:
        ours, chainers = both(v, ksize=2)
        numpy.testing.assert_array_equal(ours[0], chainers[0])
        numpy.testing.assert_array_equal(ours[1], chainers[1])


def test_double_backward():
    # All different, so that a small step changes none
    x = numpy.random.permutation(2 * 3 * 6 * 6).reshape(2, 3, 6, 6) * 1.
    gradient_check.check_double_backward(
        lambda v: max_pooling_2d(v, 3, 2, 1), x,
        numpy.random.randn(2, 3, 4, 4), numpy.random.randn(*x.shape),
        dtype=numpy.float64)
