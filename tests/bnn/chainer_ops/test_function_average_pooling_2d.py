"""Average-pooling: Chainer's, bit for bit, in another way."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

from bnn.chainer_ops import function_average_pooling_2d
from bnn.chainer_ops.function_average_pooling_2d import average_pooling_2d

SHAPES = [(2, 3, 8, 8), (3, 2, 7, 9), (1, 1, 3, 3), (40, 20, 16, 16)]
OPTIONS = [dict(ksize=2), dict(ksize=3, stride=2, pad=1), dict(ksize=1),
           dict(ksize=3, stride=1, pad=2), dict(ksize=3, stride=3, pad=3)]


def both(x, **options):
    """Results and gradients of ours and of Chainer's."""
    results = []
    for pool in average_pooling_2d, F.average_pooling_2d:
        v = chainer.Variable(x)
        y = pool(v, **options)
        y.grad = numpy.random.RandomState(0).randn(*y.shape).astype(x.dtype)
        y.backward()
        results.append((y.array, v.grad, y.creator))
    return results


def normal(shape, dtype=numpy.float32):
    return numpy.random.standard_normal(shape).astype(dtype)


def assert_same(x, is_ours, **options):
    ours, chainers = both(x, **options)
    assert isinstance(
        ours[2], function_average_pooling_2d.AveragePooling2D) == is_ours
    for a, b in zip(ours[:2], chainers[:2], strict=True):
        assert a.dtype == x.dtype
        numpy.testing.assert_array_equal(a, b)


def test_chainers_bits():
    for dtype in numpy.float32, numpy.float64:
        for shape in SHAPES:
            for options in OPTIONS:
                assert_same(normal(shape, dtype), True, **options)


def test_special():
    x = normal((2, 3, 8, 8))
    x[0, 0, 2:4, 2:4] = [[numpy.inf, numpy.nan], [-numpy.inf, 1e38]]
    with numpy.errstate(invalid='ignore'):
        assert_same(x, True, ksize=3, stride=2, pad=1)


def test_chainers_own():
    assert_same(normal((2, 3, 8, 8), numpy.float16), False, ksize=2)
    assert_same(normal((2, 3, 9, 9)), False, ksize=2, stride=3)


def test_empty_batch():
    assert_same(normal((0, 3, 8, 8)), True, ksize=3, stride=2, pad=1)


def test_layouts():
    x = normal((4, 6, 8, 8))
    for v in x[::2], x[:, ::2], x.transpose(0, 1, 3, 2), x[..., ::-1]:
        assert_same(v, True, ksize=2)


def test_double_backward():
    x, gy, ggx = (normal(shape, 'd') for shape in (
        (2, 3, 6, 5), (2, 3, 3, 3), (2, 3, 6, 5)))
    for check, args in ((gradient_check.check_backward, ()),
                        (gradient_check.check_double_backward, (ggx,))):
        check(lambda v: average_pooling_2d(v, 3, 2, 1) ** 2, x, gy, *args,
              dtype=numpy.float64, atol=1e-3, rtol=1e-3)


def test_bad_types():
    for x in numpy.zeros((1, 1, 4, 4), int), numpy.zeros((1, 4, 4), 'f'):
        with pytest.raises(type_check.InvalidType):
            average_pooling_2d(x, 2)
