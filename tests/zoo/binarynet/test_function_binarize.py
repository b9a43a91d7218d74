"""Signs of weights: values, gradients, draws."""
import math

import chainer
import numpy
import pytest
from chainer.utils import type_check

from zoo.binarynet import function_binarize

binarize = function_binarize.binarize
DTYPES = (numpy.float16, numpy.float32, numpy.float64)


def draw(W):
    return binarize(W, stochastic=True)


def test_by_hand():
    for dtype in DTYPES:
        W = chainer.Variable(
            numpy.array([[-3, -.5, 0], [-0., 1e-7, numpy.nan]], dtype))
        y = binarize(W)
        numpy.testing.assert_array_equal(y.array, [[-1, -1, 1], [1, 1, -1]])
        # No mask: |W| = 3 gets its gradient too.
        y.grad = g = numpy.arange(6, dtype=dtype).reshape(2, 3)
        y.backward()
        numpy.testing.assert_array_equal(W.grad, g)
        assert y.dtype == W.grad.dtype == dtype


def test_double_backward():
    W, gy = (chainer.Variable(numpy.random.normal(size=(4, 6)))
             for _ in range(2))
    gW, = chainer.grad([binarize(W)], [W], [gy], enable_double_backprop=True)
    v = chainer.Variable(numpy.random.normal(size=(4, 6)))
    ggy, = chainer.grad([gW], [gy], [v])
    numpy.testing.assert_array_equal(ggy.array, v.array)


def test_shapes():
    for shape in (), (3,), (0, 2), (2, 3, 4):
        assert binarize(numpy.ones(shape)).shape == shape
    W = numpy.random.normal(size=(6, 10)).astype('f')
    for view in W.T[::2], W[:, ::-1]:
        numpy.testing.assert_array_equal(
            binarize(view).array, numpy.where(view < 0, -1, 1))


def test_wrong_dtype():
    for dtype in 'i', 'u1', '?':
        with pytest.raises(type_check.InvalidType):
            binarize(numpy.ones((2, 3), dtype))


def test_draws():
    W = numpy.random.uniform(-1.5, 1.5, (40, 30)).astype('f')
    signs = numpy.where(W >= 0, 1, -1)
    drawn = draw(W).array
    assert set(drawn.ravel()) == {-1, 1}
    assert (drawn != signs).any()
    sure = abs(W) >= 1
    numpy.testing.assert_array_equal(drawn[sure], signs[sure])


def test_frequencies():
    n = 200000
    # Hoeffding: P(|frequency - p| >= bound) <= 2 exp(-2 n bound^2), so a
    # false alarm once in 10^9 draws of n.
    bound = math.sqrt(math.log(2e9) / (2 * n))
    for dtype in DTYPES:
        for w, p in ((-1, 0), (-.5, .25), (0, .5), (.3, .65), (1, 1),
                     (1.5, 1)):
            y = draw(numpy.full(n, w, dtype)).array
            assert y.dtype == dtype
            assert abs((y == 1).mean() - p) < (bound if 0 < p < 1 else 1e-9)
