"""Packing and the products of signs, against the reference and by hand."""
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import testing

from bnn import kernels
from bnn.kernels import cpu
from bnn.kernels import cpu_bits
from bnn.kernels import reference

BACKENDS = [{}, {'use_cuda': True}]
WIDTHS = 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 1000
DTYPES = numpy.float16, numpy.float32, numpy.float64


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


def signs(*shape, dtype=numpy.float32):
    return numpy.random.choice([-1, 1], shape).astype(dtype)


def normal(*shape, dtype=numpy.float32):
    return numpy.random.randn(*shape).astype(dtype)


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_pack', 'test_special', 'test_layouts'], BACKENDS)
class TestPack(unittest.TestCase):

    def check(self, x, backend_config):
        bits = to_cpu(kernels.pack(backend_config.get_array(x)))
        assert bits.dtype == numpy.uint32
        numpy.testing.assert_array_equal(bits, reference.pack(x))

    def test_pack(self, backend_config):
        for shape in [(3, k) for k in WIDTHS] + [
                (5,), (0, 4), (3, 0), (2, 3, 40), (1, 1)]:
            self.check(normal(*shape, dtype=self.dtype), backend_config)

    def test_special(self, backend_config):
        nan, inf = numpy.nan, numpy.inf
        x = numpy.array([[0., -0., nan, -nan, inf, -inf, 1e-7, -1e-7] * 9],
                        self.dtype)
        self.check(x, backend_config)
        assert to_cpu(kernels.pack(backend_config.get_array(
            x[:, :8]))).tolist() == [[0b01010011]]

    def test_layouts(self, backend_config):
        x = normal(8, 70, dtype=self.dtype)
        for y in x[::2], x[:, ::2], x.T, x[::-1], x[:, 3:]:
            self.check(y, backend_config)


def test_tail_is_zero():
    assert cpu_bits.pack(numpy.ones((1, 33), 'f')).tolist() == [
        [0xffffffff, 1]]


@testing.inject_backend_tests(['test_product', 'test_by_hand'], BACKENDS)
class TestXnorProduct(unittest.TestCase):

    def test_product(self, backend_config):
        for m, k, n in [(3, k, 5) for k in WIDTHS] + [
                (m, 40, n) for m in (1, 2, 5, 6, 7, 13) for n in (
                    1, 63, 64, 65, 130)] + [(0, 5, 3), (3, 5, 0), (200, 9, 2)]:
            x, W = signs(m, k), normal(n, k)
            a, b = (backend_config.get_array(reference.pack(v))
                    for v in (x, W))
            expected = x @ reference.binarize(W).T
            numpy.testing.assert_array_equal(
                reference.xnor_product(*map(to_cpu, (a, b)), k), expected)
            for second in b, kernels.arrange(b):
                y = to_cpu(kernels.xnor_product(a, second, k))
                assert y.dtype == numpy.float32
                numpy.testing.assert_array_equal(y, expected)

    def test_by_hand(self, backend_config):
        a = numpy.array([[0b101]], numpy.uint32)  # +1 -1 +1
        b = numpy.array([[0b101], [0b010], [0b100]], numpy.uint32)
        y = kernels.xnor_product(*map(backend_config.get_array, (a, b)), 3)
        assert to_cpu(y).tolist() == [[3, -3, 1]]


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('m', [1, 3, 291, 292])
def test_sign_product(dtype, m):
    x, W = signs(m, 100, dtype=dtype), normal(9, 100, dtype=dtype)
    # 2^18 multiplications, in what can be packed
    assert cpu.is_packed(x, W) == (m == 292 and dtype != numpy.float16)
    W[0, :2] = 0, -0.
    y = kernels.sign_product(x, W)
    assert y.dtype == dtype
    assert y.tobytes() == (x @ reference.binarize(W).T).tobytes()
    assert y.tobytes() == reference.sign_product(x, W).tobytes()


GEOMETRIES = [
    dict(shape=(2, 3, 5, 6), W=(4, 3, 3, 3), pad=(1, 1)),
    dict(shape=(1, 33, 9, 8), W=(7, 33, 5, 3), stride=(2, 1), pad=(2, 0),
         dilate=(1, 2)),
    dict(shape=(3, 64, 12, 12), W=(6, 64, 1, 1)),
    dict(shape=(2, 20, 12, 12), W=(50, 20, 5, 5)),
    dict(shape=(1, 2, 3, 3), W=(1, 2, 3, 3), stride=(3, 3), pad=(3, 3),
         dilate=(2, 2)),
    dict(shape=(2, 32, 1, 1), W=(13, 32, 1, 1)),
    dict(shape=(0, 3, 5, 5), W=(2, 3, 3, 3)),
    dict(shape=(1, 100, 17, 3), W=(12, 100, 3, 3), pad=(0, 2)),
]


@pytest.mark.parametrize('dtype', DTYPES[1:])
@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_sign_convolution(geometry, dtype):
    options = {'stride': (1, 1), 'pad': (0, 0), 'dilate': (1, 1), **geometry}
    x = signs(*options.pop('shape'), dtype=dtype)
    W = normal(*options.pop('W'), dtype=dtype)
    y = kernels.sign_convolution(x, W, **options)
    assert y.dtype == dtype
    numpy.testing.assert_array_equal(
        y, reference.sign_convolution(x, W, **options))
    if len(x):
        numpy.testing.assert_array_equal(y, F.convolution_2d(
            x, reference.binarize(W), **options).array)


def test_sign_convolution_of_a_view():
    x, W = signs(4, 5, 6, 7), normal(5, 3, 2, 2)
    geometry = (1, 1), (1, 1), (1, 1)
    for view, filters in ((x[::2, ::2], W), (x[:, :3].transpose(0, 1, 3, 2),
                                             W[::-1, :, ::-1])):
        numpy.testing.assert_array_equal(
            kernels.sign_convolution(view, filters, *geometry),
            reference.sign_convolution(view, filters, *geometry))


def test_wrong_dtype():
    x = numpy.ones((2, 3), int)
    for call in (lambda: kernels.pack(x), lambda: kernels.sign_product(x, x)):
        with pytest.raises(TypeError, match='floating point'):
            call()


testing.run_module(__name__, __file__)
