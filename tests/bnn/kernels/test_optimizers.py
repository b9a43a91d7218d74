"""Adam's update against its definition."""
import numpy

from bnn.kernels import optimizers
from bnn.kernels import reference

OPTIONS = (.1, .9, .99), (.1, .9, .99, 1e-8, .9, .5)


def draw(shape, dtype='d'):
    """Parameters, gradient, and moments, the second never below 0."""
    x, grad, m, v = (numpy.asarray(numpy.random.normal(size=shape), dtype)
                     for _ in range(4))
    return x, grad, m, numpy.asarray(v * v, dtype)


def test_as_the_reference():
    for options in OPTIONS:
        for shape in (), (0,), (1,), (1001,), (13, 17), (300, 301):
            for dtype in 'fd':
                arrays = draw(shape, dtype)
                ours = [a.copy() for a in arrays]
                reference.adam(*arrays, *options)
                optimizers.adam(*ours, *options)
                for a, b in zip(ours, arrays, strict=True):
                    numpy.testing.assert_allclose(a, b, rtol=3e-7, atol=1e-7)


def test_by_hand():
    for module in optimizers, reference:
        x, m, v = (numpy.array([value]) for value in (1., 2., 4.))
        module.adam(x, numpy.array([4.]), m, v, .5, .5, .75, 1., .5, 2.)
        # v = 4 + (16 - 4) / 4 = 7, m = 2 + (4 - 2) / 2 = 3
        assert (m.item(), v.item()) == (3, 7)
        numpy.testing.assert_allclose(
            x, .5 - 2 * .5 / (7 ** .5 + 1) * 3, rtol=1e-12)


def test_gradient_that_is_not_contiguous():
    for options in OPTIONS:
        x, grad, m, v = draw((5, 7))
        results = []
        for g in grad, numpy.asfortranarray(grad):
            arrays = [a.copy() for a in (x, m, v)]
            optimizers.adam(arrays[0], g, *arrays[1:], *options)
            results.append(arrays)
        for a, b in zip(*results, strict=True):
            assert a.tobytes() == b.tobytes()
