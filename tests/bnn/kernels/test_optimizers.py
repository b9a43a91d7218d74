"""The optimizers' updates against their definition."""
import numpy

from bnn.kernels import optimizers
from bnn.kernels import reference

CASES = [('adam', (.1, .9, .99)), ('adam', (.1, .9, .99, 1e-8, .9, .5)),
         ('momentum_sgd', (.1, .9))]


def test_as_the_reference():
    for name, options in CASES:
        for shape in (), (0,), (1,), (1001,), (13, 17), (300, 301):
            for dtype in 'fd':
                arrays = [
                    numpy.asarray(numpy.random.normal(size=shape), dtype)
                    for _ in range(3)]
                if name == 'adam':  # whose second moment is never below 0
                    arrays.append(numpy.asarray(
                        numpy.random.uniform(size=shape), dtype))
                ours = [a.copy() for a in arrays]
                getattr(reference, name)(*arrays, *options)
                getattr(optimizers, name)(*ours, *options)
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
        x, v = numpy.array([1.]), numpy.array([2.])
        module.momentum_sgd(x, numpy.array([4.]), v, .25, .5)
        assert (x.item(), v.item()) == (1, 0)


def test_gradient_that_is_not_contiguous():
    for name, options in CASES:
        x, grad, m, v = abs(numpy.random.standard_normal((4, 5, 7)))
        results = []
        for g in grad, numpy.asfortranarray(grad):
            arrays = [a.copy() for a in (x, m, v)][:2 + (name == 'adam')]
            getattr(optimizers, name)(arrays[0], g, *arrays[1:], *options)
            results.append(arrays)
        for a, b in zip(*results, strict=True):
            assert a.tobytes() == b.tobytes()
