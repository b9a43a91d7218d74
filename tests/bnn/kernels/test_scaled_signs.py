"""Scaled signs and their gradient against the reference in float64."""
import numpy
import pytest

from bnn.kernels import reference
from bnn.kernels import scaled_signs

SHAPES = [(1, 1), (3, 7), (5, 2, 3, 3), (300, 500), (2, 1, 1, 1)]


@pytest.mark.parametrize('dtype, tolerance', [('f', 1e-5), ('d', 1e-12)])
def test_against_the_reference(dtype, tolerance):
    for shape in SHAPES:
        W, g = (numpy.random.standard_normal(shape).astype(dtype)
                for _ in range(2))
        W.flat[0] = 0
        W.flat[-1] = -1
        for w, gy in ((W, g), (W[:, ::2], g[:, ::2]),
                      (numpy.asfortranarray(W), numpy.asfortranarray(g))):
            for name, args in (('scaled_binarize', (w,)),
                               ('scaled_binarize_gradient', (w, gy))):
                y = getattr(scaled_signs, name)(*args)
                assert y.dtype == dtype
                numpy.testing.assert_allclose(
                    y, getattr(reference, name)(
                        *(arg.astype('d') for arg in args)),
                    rtol=tolerance, atol=tolerance)


def test_not_finite():
    """Each NaN and infinity reaches its filter alone."""
    W = numpy.ones((4, 3), 'f')
    W[0, 0], W[1, 1] = numpy.nan, numpy.inf
    y = scaled_signs.scaled_binarize(W)
    assert numpy.isnan(y[0]).all() and (y[1] == numpy.inf).all()
    assert (y[2:] == 1).all()
    g = numpy.ones((4, 3), 'f')
    g[2, 0] = numpy.nan
    gW = scaled_signs.scaled_binarize_gradient(numpy.ones((4, 3), 'f'), g)
    assert numpy.isnan(gW[2]).all() and (gW[3] == 2).all()
