"""DoReFa's weights and their gradient against the reference in float64."""
import numba
import numpy
import pytest

from bnn.kernels import dorefa
from bnn.kernels import reference

SHAPES = [(1,), (2, 3), (5, 2, 3, 3), (4097,), (300, 500)]


def layouts(*arrays):
    yield arrays
    yield tuple(numpy.asfortranarray(array) for array in arrays)
    yield tuple(array[..., ::-1] for array in arrays)


@pytest.mark.parametrize('dtype', 'fd')
def test_against_the_reference(dtype):
    eps = float(numpy.finfo(dtype).eps)
    for shape in SHAPES:
        arrays = (numpy.random.standard_normal((2, *shape))).astype(dtype)
        for W, gy in layouts(*arrays):
            for n in 3, 7, 255:
                y, t = dorefa.dorefa(W, n)
                assert y.dtype == t.dtype == dtype
                numpy.testing.assert_array_equal(
                    y, reference.dorefa(W, n)[0])
                numpy.testing.assert_array_equal(t, numpy.tanh(W))
            wide = t.astype('d'), gy.astype('d')
            gW = dorefa.dorefa_gradient(t, gy)
            assert gW.dtype == dtype and gW.shape == shape
            m = abs(wide[0]).max()
            # Roundings of each factor; of the sum, one for each term
            bound = 8 * eps * abs(wide[1]) / m
            bound[abs(wide[0]) == m] += (
                (t.size + 8) * eps * abs(wide[0] * wide[1]).sum() / m ** 2)
            assert (abs(gW - reference.dorefa_gradient(*wide)) <= bound).all()


def test_several_largest():
    t = numpy.tanh(numpy.array([1, -1, 1, .5], 'f'))
    gy = numpy.array([1, 2, 3, 4], 'f')
    numpy.testing.assert_allclose(
        dorefa.dorefa_gradient(t, gy), reference.dorefa_gradient(t, gy),
        rtol=1e-5)


def test_not_finite():
    W = numpy.array([-numpy.inf, -1, 0, .9], 'f')
    numpy.testing.assert_array_equal(
        dorefa.dorefa(W, 3)[0], reference.dorefa(W, 3)[0])
    W[1] = numpy.nan
    assert numpy.isnan(dorefa.dorefa(W, 3)[0]).all()
    with numpy.errstate(invalid='ignore'):
        assert numpy.isnan(dorefa.dorefa(0 * W[:1], 3)[0]).all()


def test_one_and_two_threads_agree():
    W, gy = numpy.random.standard_normal((2, 500, 400)).astype('f')
    before = numba.get_num_threads()
    results = []
    try:
        for n in 1, min(2, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(n)
            y, t = dorefa.dorefa(W, 7)
            results.append((y, dorefa.dorefa_gradient(t, gy)))
    finally:
        numba.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        numpy.testing.assert_array_equal(a, b)
