"""The function against NumPy, finite differences and F.linear."""
import unittest
from unittest import mock

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer import testing
from chainer.utils import type_check

import bst
import function_binary_linear
from bnn.kernels import cpu
from bnn.kernels import cpu_bits
from bnn.kernels import cpu_signs

binary_linear = function_binary_linear.binary_linear
DTYPES = (numpy.float16, numpy.float32, numpy.float64)


def sign(W):
    return numpy.where(W < 0, -1, 1).astype(W.dtype)


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


@testing.parameterize(*testing.product({
    'dtype': DTYPES,
    'shape': [(4, 6), (3, 2, 3), (2, 1, 2, 3), (1, 6)],
    'nobias': [True, False],
}))
@testing.inject_backend_tests(None, [{}, {'use_cuda': True}])
class TestBinaryLinearOfInput(testing.FunctionTestCase):

    """x and b are smooth inputs; W is held fixed."""

    def setUp(self):
        self.W = numpy.random.uniform(-1, 1, (5, 6)).astype(self.dtype)
        self.W[0, 0] = 0
        self.W[1, 1] = -0.
        if self.dtype == numpy.float16:
            self.check_forward_options = {'rtol': 5e-3, 'atol': 5e-3}
            self.check_backward_options = {'rtol': 1e-2, 'atol': 1e-2}
            self.check_double_backward_options = {'rtol': 1e-2, 'atol': 1e-2}

    def generate_inputs(self):
        x = numpy.random.uniform(-1, 1, self.shape).astype(self.dtype)
        if self.nobias:
            return x,
        return x, numpy.random.uniform(-1, 1, 5).astype(self.dtype)

    def forward_expected(self, inputs):
        x = inputs[0].astype(numpy.float64).reshape(len(inputs[0]), -1)
        y = x.dot(sign(self.W).astype(numpy.float64).T)
        if not self.nobias:
            y += inputs[1]
        return y.astype(self.dtype),

    def forward(self, inputs, device):
        x = inputs[0]
        W = device.send(self.W.astype(x.dtype))
        return binary_linear(x, W, *inputs[1:]),


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_by_hand', 'test_special_weights'], [{}, {'use_cuda': True}])
class TestBinaryLinearByHand(unittest.TestCase):

    def test_by_hand(self, backend_config):
        def variable(values):
            return chainer.Variable(
                backend_config.get_array(numpy.array(values, self.dtype)))

        x = variable([[1, 2, 3], [-4, 5, .5]])
        W = variable([[-3, 0, .5], [2, -.25, -0.]])
        b = variable([10, 20])
        y = binary_linear(x, W, b)
        # signs: [[-1, 1, 1], [1, -1, 1]]
        numpy.testing.assert_array_equal(
            to_cpu(y.array), [[14, 22], [19.5, 11.5]])
        assert y.dtype == self.dtype
        y.grad = backend_config.get_array(
            numpy.array([[1, 2], [3, 4]], self.dtype))
        y.backward()
        numpy.testing.assert_array_equal(
            to_cpu(x.grad), [[1, -1, 3], [1, -1, 7]])
        # No mask: -3 and 2 are outside [-1, 1] and have a gradient too.
        numpy.testing.assert_array_equal(
            to_cpu(W.grad), [[-11, 17, 4.5], [-14, 24, 8]])
        numpy.testing.assert_array_equal(to_cpu(b.grad), [4, 6])
        assert x.grad.dtype == W.grad.dtype == b.grad.dtype == self.dtype

    def test_special_weights(self, backend_config):
        W = numpy.array([[0, -0., numpy.nan, numpy.inf, -numpy.inf]],
                        self.dtype)
        y = binary_linear(
            backend_config.get_array(numpy.eye(5, dtype=self.dtype)),
            backend_config.get_array(W))
        numpy.testing.assert_array_equal(
            to_cpu(y.array), [[1], [1], [-1], [1], [-1]])


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


def random(*shape, dtype=numpy.float64):
    return numpy.random.uniform(-1, 1, shape).astype(dtype)


@pytest.mark.parametrize('shape', [(4, 6), (3, 2, 3), (2, 1, 2, 3)])
def test_weight_gradient_is_that_of_the_binary_weight(shape):
    x, W, b, gy = random(*shape), random(5, 6), random(5), random(shape[0], 5)
    latent = chainer.Variable(W)
    y = binary_linear(x, latent, b)
    y.grad = gy
    y.backward()

    binary = sign(W)
    gW, = gradient_check.numerical_grad(
        lambda: (F.linear(x, binary, b).array,), (binary,), (gy,))
    numpy.testing.assert_allclose(latent.grad, gW, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('shape', [(4, 6), (2, 1, 2, 3)])
@pytest.mark.parametrize('nobias', [True, False])
def test_input_gradients(shape, nobias):
    W = random(5, 6)
    args = (random(*shape),) if nobias else (random(*shape), random(5))
    gradient_check.check_backward(
        lambda x, b=None: binary_linear(x, W, b), args, random(shape[0], 5),
        dtype=numpy.float64, rtol=1e-6, atol=1e-8)


def test_double_backward_is_that_of_linear():
    def second_order(function, W):
        x, W, b, gy = map(chainer.Variable, (arrays[0], W, *arrays[1:]))
        y = function(x, W, b)
        first = chainer.grad(
            [y], [x, W, b], [gy], enable_double_backprop=True)
        total = sum(F.sum(g * g) for g in first)
        return [g.array for g in first] + [
            g.array for g in chainer.grad([total], [x, W, gy])]

    arrays = random(4, 2, 3), random(5), random(4, 5)
    W = random(5, 6)
    actual = second_order(binary_linear, W)
    expected = second_order(F.linear, sign(W))
    for a, e in zip(actual, expected, strict=True):
        numpy.testing.assert_allclose(a, e, rtol=1e-12)


def test_double_backward_by_hand():
    x = chainer.Variable(numpy.array([[2., 3.]]))
    W = chainer.Variable(numpy.array([[.5, -7.]]))
    gy = chainer.Variable(numpy.array([[5.]]))
    gx, = chainer.grad([binary_linear(x, W)], [x], [gy],
                       enable_double_backprop=True)
    ggy, gW, gx_x = chainer.grad(
        [gx], [gy, W, x], [chainer.Variable(numpy.array([[1., 10.]]))])
    numpy.testing.assert_array_equal(gx.array, [[5, -5]])
    numpy.testing.assert_array_equal(ggy.array, [[-9]])
    numpy.testing.assert_array_equal(gW.array, [[5, 50]])  # the estimator
    assert gx_x is None


@pytest.mark.parametrize('shape', [(0, 6), (0, 2, 3), (0, 1, 2, 3)])
def test_empty_batch(shape, dtype):
    x = chainer.Variable(numpy.zeros(shape, dtype))
    W = chainer.Variable(random(5, 6, dtype=dtype))
    b = chainer.Variable(random(5, dtype=dtype))
    y = binary_linear(x, W, b)
    assert y.shape == (0, 5)
    assert y.dtype == dtype
    y.grad = numpy.zeros((0, 5), dtype)
    y.backward()
    assert x.grad.shape == shape
    numpy.testing.assert_array_equal(W.grad, numpy.zeros((5, 6)))
    numpy.testing.assert_array_equal(b.grad, numpy.zeros(5))


def test_non_contiguous(dtype):
    x = random(8, 12, dtype=dtype)[::2, ::2]
    W = random(6, 10, dtype=dtype).T[::2]
    gy = random(10, 4, dtype=dtype)[::2].T
    results = []
    for args in ((x, W, gy), [numpy.ascontiguousarray(a)
                              for a in (x, W, gy)]):
        x_, W_ = map(chainer.Variable, args[:2])
        y = binary_linear(x_, W_)
        y.grad = args[2]
        y.backward()
        results.append((y.array, x_.grad, W_.grad))
    for a, b in zip(*results, strict=True):
        testing.assert_allclose(a, b, rtol=5e-3, atol=5e-3)
    numpy.testing.assert_allclose(
        results[0][0], x.astype('d').dot(sign(W).astype('d').T),
        rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize('nobias', [True, False])
def test_binarizes_once(nobias, monkeypatch):
    binarize = mock.Mock(wraps=cpu.binarize)
    monkeypatch.setattr(cpu, 'binarize', binarize)
    x = chainer.Variable(random(4, 6))
    W = chainer.Variable(random(5, 6))
    y = binary_linear(x, W, None if nobias else random(5))
    assert binarize.call_count == 1
    F.sum(y).backward()
    assert binarize.call_count == 1
    assert x.grad is not None
    assert W.grad is not None


@pytest.mark.parametrize('shapes,dtypes', [
    (((4, 6), (5, 6)), 'fd'),
    (((4, 6), (5, 6)), 'ef'),
    (((4, 6), (5, 6)), 'ii'),
    (((4, 6), (5, 6)), 'if'),
    (((4, 6), (5, 6)), 'fi'),
    (((4, 6), (5, 6), (5,)), 'ffd'),
    (((4, 6), (5, 6), (5,)), 'ffi'),
    (((4, 6), (5, 7)), 'ff'),
    (((4, 2, 3), (5, 7)), 'ff'),
    (((6,), (5, 6)), 'ff'),
    (((), (5, 6)), 'ff'),
    (((4, 6), (6,)), 'ff'),
    (((4, 6), (5, 2, 3)), 'ff'),
    (((4, 6), (5, 6), (6,)), 'fff'),
    (((4, 6), (5, 6), (1,)), 'fff'),
    (((4, 6), (5, 6), (1, 5)), 'fff'),
    (((4, 6), (5, 6), ()), 'fff'),
])
def test_wrong_arguments(shapes, dtypes):
    args = [numpy.zeros(shape, dtype)
            for shape, dtype in zip(shapes, dtypes, strict=True)]
    with pytest.raises(type_check.InvalidType):
        binary_linear(*args)


def test_inputs_stay():
    x, W, b = random(4, 6), random(5, 6), random(5)
    copies = [a.copy() for a in (x, W, b)]
    v = [chainer.Variable(a) for a in (x, W, b)]
    F.sum(binary_linear(*v) ** 2).backward()
    for a, c in zip((x, W, b), copies, strict=True):
        numpy.testing.assert_array_equal(a, c)


@pytest.mark.parametrize('scaled', [False, True, 'ste'])
@pytest.mark.parametrize('nobias', [False, True])
@pytest.mark.parametrize('dtype', ['f', 'd'])
def test_signs_by_popcount_or_by_blas(scaled, nobias, dtype):
    signs = bst.bst(random(9, 2, 35).astype(dtype)).array
    W = random(6, 70).astype(dtype)
    b = None if nobias else random(6).astype(dtype)
    results = []
    for x in chainer.Variable(signs), bst.mark(chainer.Variable(signs)):
        latent = chainer.Variable(W)
        y = binary_linear(x, latent, b, scaled=scaled)
        y.grad = numpy.arange(54, dtype=dtype).reshape(9, 6)
        y.backward()
        results.append((y.array, x.grad, latent.grad))
    for blas, popcount in zip(*results, strict=True):
        assert popcount.dtype == dtype
        if scaled:  # the scale of each product, or of the exact sum
            numpy.testing.assert_allclose(
                popcount, blas, rtol=1e-5, atol=1e-5)
        else:
            assert popcount.tobytes() == blas.tobytes()


def test_popcount_is_used(monkeypatch):
    monkeypatch.setattr(cpu_signs, 'MIN_PRODUCTS', 0)
    product = mock.Mock(wraps=cpu_bits.xnor_product)
    monkeypatch.setattr(cpu_bits, 'xnor_product', product)
    x, W = bst.bst(random(9, 70)), random(6, 70)
    binary_linear(x.array, W)
    assert not product.called
    for scaled in False, True:
        binary_linear(x, W, scaled=scaled)
    assert product.call_count == 2


testing.run_module(__name__, __file__)
