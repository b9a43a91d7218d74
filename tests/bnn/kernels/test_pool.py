"""Pooling against the reference."""
import itertools

import hypothesis
import numpy

from bnn.kernels import pool
from bnn.kernels import reference
from tests.helpers import random_cases

# Images, window, stride, padding, windows
CASES = [((2, 3, 8, 9), (2, 2), (2, 2), (0, 0), (4, 5)),
         ((70, 20, 24, 24), (2, 2), (2, 2), (0, 0), (12, 12)),
         ((35, 3, 32, 32), (3, 3), (2, 2), (1, 1), (16, 16)),
         ((3, 2, 7, 9), (3, 2), (2, 1), (0, 0), (3, 9)),
         ((1, 1, 5, 5), (5, 5), (5, 5), (0, 0), (1, 1)),
         ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1)),
         ((0, 2, 4, 4), (2, 2), (2, 2), (1, 1), (3, 3))]


def assert_same(ours, theirs):
    assert ours.dtype == theirs.dtype
    numpy.testing.assert_array_equal(ours, theirs)


def check(x, ksize, stride, pad, size, gy):
    """Compares all four functions, in a dtype where no sum is rounded."""
    geometry, image = (ksize, stride, pad), x.shape[2:]
    (y, where), (expected, expected_where) = (
        module.max_pool(x, *geometry, size) for module in (pool, reference))
    assert_same(y, expected)
    assert_same(where, expected_where)
    assert_same(pool.max_pool_gradient(gy, where, *geometry, image),
                reference.max_pool_gradient(gy, where, *geometry, image))
    # A sum of no more than 49 values and a quotient
    eps = numpy.finfo(x.dtype).eps
    for ours, theirs, given in (
            (pool.average_pool(x, *geometry, size),
             reference.average_pool(x, *geometry, size), x),
            (pool.average_pool_gradient(gy, *geometry, image),
             reference.average_pool_gradient(gy, *geometry, image), gy)):
        assert ours.dtype == theirs.dtype
        numpy.testing.assert_allclose(
            ours, theirs, rtol=0, atol=50 * eps * abs(given).max(initial=0))


def draw(shape, dtype):
    # Few values, so that many are equal
    return numpy.random.randint(-2, 3, shape).astype(dtype)


def test_as_the_reference():
    for shape, ksize, stride, pad, size in CASES:
        for dtype in numpy.float32, numpy.float64:
            gy = numpy.random.randint(-9, 9, (*shape[:2], *size))
            check(draw(shape, dtype), ksize, stride, pad, size,
                  gy.astype(dtype))


@hypothesis.given(*itertools.starmap(random_cases.pairs, (
    (1, 7), (1, 8), (0, 4), (1, 12), (0, 3), (1, 6))))
@hypothesis.settings(random_cases.settings, max_examples=150)
def test_any_geometry(ksize, stride, pad, shape, planes, size):
    check(draw(planes + shape, 'f'), ksize, stride, pad, size,
          draw(planes + size, 'f'))


def test_special_values_and_views():
    nan, inf = numpy.nan, numpy.inf
    x = numpy.array([[[[-inf, -inf, nan, 1], [-inf, -inf, 2, nan],
                       [1, inf, -0., 0.], [inf, nan, -1, -2]]]], 'f')
    geometry = (2, 2), (2, 2), (0, 0), (2, 2)
    for v in x, x[..., ::-1], x.transpose(0, 1, 3, 2):
        for function in 'max_pool', 'average_pool':
            for a, b in zip(*(getattr(module, function)(v, *geometry)
                              for module in (pool, reference)), strict=True):
                numpy.testing.assert_array_equal(a, b)
    # The first of equal ones; -inf in the padding comes before -inf in x.
    nowhere = pool.NOWHERE
    for module in pool, reference:
        assert module.max_pool(x, *geometry)[1].tolist() == [
            [[[0, 0], [3, 0]]]]
        assert module.max_pool(x, (2, 2), (2, 2), (1, 1), (3, 3))[
            1].tolist() == [[[[nowhere, 3, 2], [3, 2, 0], [1, 0, 0]]]]


def test_infinite_values_stay_in_their_windows():
    gy = numpy.array([[[[numpy.inf, 1], [numpy.nan, 2]]]], 'f')
    gx = pool.average_pool_gradient(gy, (2, 2), (2, 2), (0, 0), (5, 4))
    numpy.testing.assert_array_equal(gx[0, 0], [
        [numpy.inf] * 2 + [.25] * 2] * 2 + [[numpy.nan] * 2 + [.5] * 2] * 2 + [
            [0] * 4])
