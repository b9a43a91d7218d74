"""Max-pooling against the reference."""
import numpy

from bnn.kernels import max_pool
from bnn.kernels import reference

CASES = [((2, 3, 8, 9), (2, 2), (2, 2), (4, 5)),
         ((70, 20, 24, 24), (2, 2), (2, 2), (12, 12)),
         ((3, 2, 7, 9), (3, 2), (2, 1), (3, 9)),
         ((1, 1, 5, 5), (5, 5), (5, 5), (1, 1)),
         ((0, 2, 4, 4), (2, 2), (2, 2), (2, 2))]


def test_as_the_reference():
    for shape, ksize, stride, size in CASES:
        for dtype in numpy.float32, numpy.float64:
            # Few values, so that many are equal
            x = numpy.random.randint(-2, 3, shape).astype(dtype)
            found = max_pool.max_pool(x, ksize, stride, size)
            expected = reference.max_pool(x, ksize, stride, size)
            gy = numpy.random.randint(-9, 9, found[0].shape).astype(dtype)[:5]
            found += max_pool.max_pool_gradient(gy, found[1][:5], shape[2:]),
            expected += reference.max_pool_gradient(
                gy, expected[1][:5], shape[2:]),
            for a, b in zip(found, expected, strict=True):
                assert a.dtype == b.dtype
                numpy.testing.assert_array_equal(a, b)


def test_special_values_and_views():
    nan, inf = numpy.nan, numpy.inf
    x = numpy.array([[[[-inf, -inf, nan, 1], [-inf, -inf, 2, nan],
                       [1, inf, -0., 0.], [inf, nan, -1, -2]]]], 'f')
    for v in x, x[..., ::-1], x.transpose(0, 1, 3, 2), x[..., ::2, :]:
        size = v.shape[2] // 2, v.shape[3] // 2
        for a, b in zip(max_pool.max_pool(v, (2, 2), (2, 2), size),
                        reference.max_pool(v, (2, 2), (2, 2), size),
                        strict=True):
            numpy.testing.assert_array_equal(a, b)
    assert reference.max_pool(x, (2, 2), (2, 2), (2, 2))[1].tolist() == [
        [[[0, 2], [13, 10]]]]
