"""Products with a matrix of signs, or levels, against float64 and by hand."""
import unittest

import chainer
import numba
import numpy
import pytest
from chainer import testing

from bnn import kernels
from bnn.kernels import amx
from bnn.kernels import cpu_levels
from bnn.kernels import cpu_signs
from bnn.kernels import reference

BACKENDS = [{}, {'use_cuda': True}]
DTYPES = numpy.float16, numpy.float32, numpy.float64
SHAPES = [(m, k, 9) for m in (1, 2, 31, 33) for k in (1, 31, 32, 33, 100)] + [
    (3, 40, n) for n in (1, 31, 32, 33, 64, 97)] + [
    (70, 70, 70), (0, 5, 3), (3, 5, 0), (3, 0, 5), (200, 300, 1100)]


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


def normal(*shape, dtype=numpy.float32):
    return numpy.random.randn(*shape).astype(dtype)


def check(y, a, signs, unit):
    """Compares a product with that in float64, to the documented bound."""
    a, signs = (v.astype(numpy.float64) for v in (a, signs))
    bound = a.shape[1] * (unit * (abs(a) @ abs(signs)) + 2. ** -126)
    assert y.shape == bound.shape
    assert (abs(y.astype(numpy.float64) - a @ signs) <= bound).all()


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(['test_products', 'test_array'], BACKENDS)
class TestSigns(unittest.TestCase):

    def test_products(self, backend_config):
        for m, k, n in SHAPES:
            W = normal(n, k, dtype=self.dtype)
            x, g = (normal(m, size, dtype=self.dtype) for size in (k, n))
            signs = kernels.signs(backend_config.get_array(W))
            y, gx = (to_cpu(f(backend_config.get_array(v))) for f, v in (
                (signs.apply, x), (signs.apply_transposed, g)))
            assert y.dtype == gx.dtype == self.dtype
            unit = 2 * numpy.finfo(self.dtype).eps
            check(y, x, reference.binarize(W).T, unit)
            check(gx, g, reference.binarize(W), unit)

    def test_array(self, backend_config):
        W = normal(3, 40, dtype=self.dtype)
        W[0, :4] = 0, -0., numpy.nan, -numpy.inf
        signs = kernels.signs(backend_config.get_array(W))
        numpy.testing.assert_array_equal(
            to_cpu(signs.array), reference.binarize(W))


@pytest.fixture(params=['unit', 'blas'])
def tiled(request, monkeypatch):
    """Whether the matrix unit multiplies: always, or never."""
    if request.param == 'unit' and not amx.IS_AVAILABLE:
        pytest.skip('this processor, or system, has no AMX')
    monkeypatch.setattr(amx, 'IS_AVAILABLE', request.param == 'unit')
    monkeypatch.setattr(cpu_signs, 'MIN_TILED', 0)
    monkeypatch.setattr(cpu_signs, 'MIN_TILED_COLUMNS', 0)
    return request.param == 'unit'


@pytest.mark.parametrize('m, k, n', SHAPES)
def test_both_ways(tiled, m, k, n):
    W, x, g = normal(n, k), normal(m, k), normal(m, n)
    signs = kernels.signs(W)
    check(signs.apply(x), x, reference.binarize(W).T, 2 ** -22)
    for v in g, numpy.asfortranarray(g), numpy.repeat(g, 2, 1)[:, ::2]:
        check(signs.apply_transposed(v), g, reference.binarize(W), 2 ** -22)


def test_small_integers_are_exact(tiled):
    W = normal(70, 300)
    x = numpy.random.randint(-1000, 1000, (40, 300)).astype('f')
    y = kernels.signs(W).apply(x)
    numpy.testing.assert_array_equal(y, x @ reference.binarize(W).T)


def pixels(*shape):
    x = numpy.random.randint(0, 256, shape).astype('f') / 255
    x[:1, :1] = 1
    return x


def kept(*shape):
    return pixels(*shape) * ((numpy.random.rand(*shape) > .2) / .8).astype('f')


LEVELS = {
    'pixels': pixels, 'dropout': kept, 'signs': lambda *shape: (
        reference.binarize(normal(*shape))),
    'bits': lambda *shape: (normal(*shape) > 0).astype('f'),
    'bytes': lambda *shape: 255 * pixels(*shape),
    'tiny': lambda *shape: numpy.float32(1e-30) * pixels(*shape)}


@pytest.mark.parametrize('m, k, n', SHAPES)
@pytest.mark.parametrize('name', [*LEVELS, 'floats'])
def test_weight_gradient(tiled, name, m, k, n, monkeypatch):
    found = []
    find = cpu_levels.find
    monkeypatch.setattr(cpu_levels, 'find', lambda x: (
        found.append(find(x)), found[-1])[1])
    x = LEVELS.get(name, normal)(k, n)
    gy = normal(k, m)
    for v in gy, numpy.asfortranarray(gy), numpy.repeat(gy, 2, 1)[:, ::2]:
        check(kernels.weight_gradient(v, x), gy.T, x, 2 ** -20)
    assert len(found) == 3 * tiled
    if tiled and x.size > 200 and x.any():
        assert (found[0] is None) == (name == 'floats')


def test_weight_gradient_of_few(monkeypatch):
    monkeypatch.setattr(cpu_levels, 'find', None)  # it would be called
    gy, x = normal(3, 5), pixels(3, 7)
    numpy.testing.assert_array_equal(
        kernels.weight_gradient(gy, x), gy.T.dot(x))


@pytest.mark.parametrize('dtype', DTYPES)
def test_weight_gradient_of_other_dtypes(tiled, dtype):
    gy, x = normal(40, 33, dtype=dtype), pixels(40, 50).astype(dtype)
    y = kernels.weight_gradient(gy, x)
    assert y.dtype == dtype
    check(y, gy.T, x, 2 * numpy.finfo(dtype).eps if dtype != 'f' else 2 ** -20)


def test_levels():
    x = numpy.arange(256, dtype='f').reshape(2, 128) / 255
    levels = cpu_levels.find(x)
    assert levels.shape == x.shape and levels.scale == 256 / 255
    assert levels.numbers.shape == (32, 128)
    numbers = levels.numbers.astype(numpy.uint32) << 16
    numpy.testing.assert_array_equal(
        256 * numbers.view('f')[:2], numpy.arange(256).reshape(2, 128))
    assert not numbers[2:].any()


@pytest.mark.parametrize('value', [
    numpy.nan, -numpy.nan, numpy.inf, -numpy.inf, .5 / 255, 1e-3, 1e-38,
    numpy.float32(7 / 255) * (1 + 2 ** -20), 1 + 1 / 255])
def test_no_levels(value):
    x = pixels(40, 50)
    assert cpu_levels.find(x) is not None
    for place in (0, 7), (39, 49):
        other = x.copy()
        other[place] = value
        assert cpu_levels.find(other) is None


@pytest.mark.parametrize('shape', [(3, 4), (0, 4), (4, 0)])
def test_zeros_have_no_levels(shape):
    assert cpu_levels.find(numpy.zeros(shape, 'f')) is None


def test_weight_gradient_not_finite(tiled):
    inf, nan = numpy.inf, numpy.nan
    gy = numpy.array([[inf, -inf, nan, 1, 0]], 'f')
    with numpy.errstate(invalid='ignore'):
        y = kernels.weight_gradient(gy, numpy.array([[1, 0, -1]], 'f'))
    numpy.testing.assert_array_equal(y, [
        [inf, nan, -inf], [-inf, nan, inf], [nan] * 3, [1, 0, -1],
        [0, 0, 0]])


def test_all_bits_count(tiled):
    """A float32 of 24 ones and its negative, which leave nothing."""
    x = numpy.full((1, 2), numpy.nextafter(numpy.float32(2), 0))
    x[0, 1] = numpy.nextafter(x[0, 0], 0)
    y = kernels.signs(numpy.array([[1, -1]], 'f')).apply(x)
    assert y.item() == 2. ** -23


def test_not_finite(tiled):
    inf, nan = numpy.inf, numpy.nan
    # The last is a NaN whose first bits alone are those of infinity.
    late = numpy.array([0x7f800001], numpy.uint32).view('f')[0]
    x = numpy.array([[inf, 1], [-inf, 1], [nan, 1], [late, 1], [inf, inf],
                     [3e38, 3e38]], 'f')
    W = numpy.array([[1, 1], [-1, 1], [1, -1]], 'f')
    with numpy.errstate(all='ignore'):
        y = kernels.signs(W).apply(x)
    numpy.testing.assert_array_equal(y, [
        [inf, -inf, inf], [-inf, inf, -inf], [nan] * 3, [nan] * 3,
        [inf, nan, nan], [inf, 0, 0]])


def test_signs_by_signs(tiled):
    for m, k, n in SHAPES:
        x, W = reference.binarize(normal(m, k)), normal(n, k)
        y = kernels.signs(W).apply(kernels.signs(x, is_binary=True))
        assert y.tobytes() == (x @ reference.binarize(W).T).tobytes()


def test_the_signs_are_those_of_the_first_product(tiled):
    """What an optimizer does between forward and backward is not seen."""
    W, x, g = normal(70, 90), normal(80, 90), normal(80, 70)
    signs, before = kernels.signs(W), reference.binarize(W)
    signs.apply(kernels.signs(reference.binarize(x), is_binary=True))
    W *= -1
    check(signs.apply_transposed(g), g, before, 2 ** -22)
    numpy.testing.assert_array_equal(signs.array, before)


def test_the_signs_are_those_of_a_first_product_by_the_blas(
        tiled, monkeypatch):
    """A product with few columns is the BLAS's, its transposed one not."""
    monkeypatch.setattr(cpu_signs, 'MIN_TILED_COLUMNS', 32)
    W, x, g = normal(10, 90), normal(80, 90), normal(80, 10)
    signs, before = kernels.signs(W), reference.binarize(W)
    signs.apply(x)
    W *= -1
    check(signs.apply_transposed(g), g, before, 2 ** -22)


def test_threads_give_the_same_bits(tiled):
    W, x = normal(300, 400), normal(200, 400)
    numbers = set()
    before = numba.get_num_threads()
    try:
        for n in range(1, before + 1):
            numba.set_num_threads(n)
            numbers.add(kernels.signs(W).apply(x).tobytes())
    finally:
        numba.set_num_threads(before)
    assert len(numbers) == 1


def test_integers_have_no_signs():
    with pytest.raises(TypeError, match='floating point'):
        kernels.signs(numpy.ones((2, 2), int))
