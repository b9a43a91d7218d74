"""k-bit weights against a float64 formula, and the linear operation."""
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import testing
from chainer.utils import type_check

import function_binary_linear
from zoo.quantized_net import function_quantize
from zoo.quantized_net import function_quantized_linear
from zoo.quantized_net import qst

DTYPES = (numpy.float16, numpy.float32, numpy.float64)
BACKENDS = [{}, {'use_cuda': True}]
QUANTIZERS = ('dorefa', 'linear')


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


def scaled(W):
    """What DoReFa rounds, before the rounding, as a number in [-1, 1]."""
    t = numpy.tanh(W.astype(numpy.float64))
    return t / abs(t).max()


def dorefa(W, bits):
    """The level's number, and how far from a boundary it was."""
    position = (scaled(W) / 2 + .5) * (2 ** bits - 1)
    number = numpy.floor(position + .5)
    return number, abs(position - numpy.floor(position) - .5)


def latent(q, dtype, largest=1.):
    """Latent weights whose tanh is ``q`` times the largest tanh."""
    return numpy.arctanh(
        numpy.array(q) * numpy.tanh(largest)).astype(dtype)


@testing.parameterize(*testing.product({
    'dtype': DTYPES, 'bits': list(range(2, 9))}))
@testing.inject_backend_tests(['test_dorefa', 'test_linear'], BACKENDS)
class TestQuantizeWeights(unittest.TestCase):

    def setUp(self):
        random = numpy.random.RandomState(self.bits)
        self.W = random.normal(0, .7, (40, 30)).astype(self.dtype)
        self.W[0, :3] = 0, -0., 1e-3

    def test_dorefa(self, backend_config):
        W_q = to_cpu(function_quantize.quantize(
            backend_config.get_array(self.W), self.bits).array)
        assert W_q.dtype == self.dtype
        assert W_q.shape == self.W.shape
        n = 2 ** self.bits - 1
        eps = float(numpy.finfo(self.dtype).eps)
        number, margin = dorefa(self.W, self.bits)
        error = abs((W_q.astype(float) + 1) / 2 * n - number)
        clear = margin > 4 * n * eps
        assert clear.mean() > .2 or self.dtype == numpy.float16
        assert error[clear].max(initial=0) < 4 * n * eps
        # At a boundary, where float16 cannot tell, it is a neighbour
        assert error.max() < 1 + 4 * n * eps
        numpy.testing.assert_allclose(
            (W_q[0, :2].astype(float) + 1) / 2 * n, (n + 1) // 2
            if (n + 1) // 2 % 2 == 0 else n // 2, rtol=4 * eps)
        assert abs(W_q).max() == 1

    def test_linear(self, backend_config):
        W_q = to_cpu(function_quantize.quantize(
            backend_config.get_array(self.W), self.bits, 'linear').array)
        step = 2. ** (1 - self.bits)
        numpy.testing.assert_array_equal(W_q, numpy.clip(
            numpy.rint(self.W.astype(float) / step) * step, -1, 1))
        assert (W_q.min(), W_q.max()) == (-1, 1)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('largest', [.125, 1., 3.])
class TestDoReFaByHand(object):

    # The boundaries, as multiples of the largest tanh, are 2(j + .5)/n - 1.
    def _check(self, bits, dtype, largest):
        n = 2 ** bits - 1
        boundaries = 2 * (numpy.arange(n) + .5) / n - 1
        step = 8e-3
        W = latent([-1, *(boundaries - step), *(boundaries + step), 1],
                   dtype, largest)
        expected = 2 * numpy.array(
            [0, *range(n), *range(1, n + 1), n]) / n - 1
        W_q = function_quantize.quantize(W, bits).array
        numpy.testing.assert_allclose(
            W_q, expected, atol=4 * numpy.finfo(dtype).eps)

    def test_2_bits(self, dtype, largest):
        self._check(2, dtype, largest)

    def test_3_bits(self, dtype, largest):
        self._check(3, dtype, largest)

    def test_2_bits_written_out(self, dtype, largest):
        W = latent([-1, -.7, -.64, -.01, 0, .01, .64, .7, 1], dtype, largest)
        W_q = function_quantize.quantize(W, 2).array
        # The tie at 0 goes to the even level, the second of 0 to 3
        numpy.testing.assert_allclose(
            W_q * 3, [-3, -3, -1, -1, 1, 1, 1, 3, 3], rtol=5e-3)


class TestDoReFaGradient(unittest.TestCase):

    def setUp(self):
        random = numpy.random.RandomState(0)
        self.W = random.normal(0, 1, (3, 4))
        self.g = random.normal(size=(3, 4))

    def _gradient(self, bits, W):
        W = chainer.Parameter(W)
        y = function_quantize.quantize(W, bits)
        y.grad = self.g.astype(W.dtype)
        y.backward()
        return W.grad

    def _numerical(self, step=1e-6):
        # The rounding taken for the identity: 2 q + 1 - 1 = tanh / max
        numerical = numpy.empty_like(self.W)
        for i in numpy.ndindex(self.W.shape):
            values = []
            for sign in 1, -1:
                W = self.W.copy()
                W[i] += sign * step
                values.append((self.g * scaled(W)).sum())
            numerical[i] = (values[0] - values[1]) / (2 * step)
        return numerical

    def test_finite_differences(self):
        numerical = self._numerical()
        largest = abs(self.W).argmax()
        # That of the largest weight comes from the maximum alone
        assert abs(numerical.flat[largest]) > .1
        for bits in 2, 3, 8:
            numpy.testing.assert_allclose(
                self._gradient(bits, self.W), numerical, rtol=1e-6,
                atol=1e-8)

    def test_largest_is_negative(self):
        self.W[1, 2] = -4
        numpy.testing.assert_allclose(
            self._gradient(2, self.W), self._numerical(), rtol=1e-5,
            atol=1e-7)

    def test_one_scale_for_all(self):
        # A common factor on tanh W changes nothing: no gradient along it.
        t = numpy.tanh(self.W)
        along = self._gradient(2, self.W) / (1 - t ** 2) * t
        assert abs(along.sum()) < 1e-12

    def test_float32(self):
        gW = self._gradient(4, self.W.astype(numpy.float32))
        assert gW.dtype == numpy.float32
        numpy.testing.assert_allclose(
            gW, self._numerical(), rtol=1e-4, atol=1e-5)


def test_linear_gradient():
    W = chainer.Parameter(numpy.array([[-1.5, -1, .3], [1, 1.5, 0]], 'f'))
    y = function_quantize.quantize(W, 3, 'linear')
    y.grad = numpy.arange(1, 7, dtype='f').reshape(2, 3)
    y.backward()
    numpy.testing.assert_array_equal(W.grad, [[0, 2, 3], [4, 0, 6]])


def test_all_zero_weights():
    with numpy.errstate(invalid='ignore'):
        W_q = function_quantize.quantize(
            numpy.zeros((2, 2), 'f'), 2).array
    assert numpy.isnan(W_q).all()  # as the documentation has it


@pytest.mark.parametrize('quantizer', QUANTIZERS)
@pytest.mark.parametrize('bits', [2, 8, 32])
def test_non_contiguous_weights(quantizer, bits):
    W = numpy.random.RandomState(0).normal(size=(6, 8)).astype('f')
    for view in W[::2, 1::3], W.T, W[:, ::-1]:
        numpy.testing.assert_array_equal(
            chainer.as_array(function_quantize.quantize(
                view, bits, quantizer)),
            chainer.as_array(function_quantize.quantize(
                view.copy(), bits, quantizer)))


def test_zero_dimensional_weight():
    for quantizer, expected in ('dorefa', 1), ('linear', .5):
        W_q = function_quantize.quantize(
            numpy.array(.4, 'f'), 2, quantizer)
        assert W_q.shape == ()
        assert W_q.array == expected


# ---- the operation

def run(function, x, W, b, gy):
    """Returns the value and all gradients."""
    variables = [chainer.Variable(a) for a in (x, W, b) if a is not None]
    y = function(*variables)
    y.grad = gy
    y.backward()
    return [to_cpu(a) for a in (y.array, *(v.grad for v in variables))]


@testing.parameterize(*testing.product({
    'dtype': DTYPES, 'shape': [(5, 12), (5, 3, 2, 2), (0, 12)],
    'nobias': [False, True], 'quantizer': QUANTIZERS}))
@testing.inject_backend_tests(
    ['test_one_bit', 'test_32_bits', 'test_2_bits'], BACKENDS)
class TestQuantizedLinear(unittest.TestCase):

    def _arrays(self, backend_config):
        random = numpy.random.RandomState(0)
        x = random.normal(size=self.shape)
        W = random.normal(size=(4, 12))
        W[0, :4] = 0, -0., 1, -1
        b = None if self.nobias else random.normal(size=4)
        gy = random.normal(size=(self.shape[0], 4))
        return [a if a is None else backend_config.get_array(
            a.astype(self.dtype)) for a in (x, W, b, gy)]

    def _ours(self, bits):
        def function(x, W, b=None):
            return function_quantized_linear.quantized_linear(
                x, W, b, bits, self.quantizer)
        return function

    def _assert_same(self, actual, expected):
        assert len(actual) == len(expected) == 4 - self.nobias
        for a, e in zip(actual, expected, strict=True):
            assert a.dtype == e.dtype == self.dtype
            assert a.shape == e.shape
            assert a.tobytes() == e.tobytes()

    def test_one_bit(self, backend_config):
        arrays = self._arrays(backend_config)
        self._assert_same(
            run(self._ours(1), *arrays),
            run(function_binary_linear.binary_linear, *arrays))

    def test_32_bits(self, backend_config):
        arrays = self._arrays(backend_config)

        def linear(x, W, b=None):
            return F.linear(F.reshape(x, (len(x), 12)), W, b)

        self._assert_same(run(self._ours(32), *arrays), run(linear, *arrays))

    def test_2_bits(self, backend_config):
        arrays = self._arrays(backend_config)
        x, W = arrays[:2]
        W_q = to_cpu(function_quantize.quantize(
            W, 2, self.quantizer).array)
        y, gx, gW = run(self._ours(2), *arrays)[:3]
        x, _, b, gy = [a if a is None else to_cpu(a).astype(float)
                       for a in arrays]
        x = x.reshape(len(x), 12)
        tol = 5e-2 if self.dtype == numpy.float16 else 1e-5
        numpy.testing.assert_allclose(
            y, x.dot(W_q.T) + (0 if b is None else b), rtol=tol, atol=tol)
        numpy.testing.assert_allclose(
            gx.reshape(x.shape), gy.dot(W_q), rtol=tol, atol=tol)
        if self.quantizer == 'linear':
            numpy.testing.assert_allclose(
                gW, numpy.where(abs(to_cpu(W)) <= 1, gy.T.dot(x), 0),
                rtol=tol, atol=tol)


@pytest.mark.parametrize('bits', [0, 9, -1, 16, None])
def test_wrong_bits(bits):
    for quantizer in QUANTIZERS:
        with pytest.raises(ValueError, match='1 to 8 or 32'):
            function_quantized_linear.quantized_linear(
                numpy.zeros((2, 3), 'f'), numpy.ones((4, 3), 'f'), None,
                bits, quantizer)
        with pytest.raises(ValueError, match='1 to 8 or 32'):
            function_quantize.quantize(
                numpy.ones((4, 3), 'f'), bits, quantizer)


@pytest.mark.parametrize('bits', [1, 2, 32])
def test_wrong_quantizer(bits):
    with pytest.raises(ValueError, match='no quantizer'):
        function_quantized_linear.quantized_linear(
            numpy.zeros((2, 3), 'f'), numpy.ones((4, 3), 'f'), None, bits,
            'log')


@pytest.mark.parametrize('bits', [1, 2, 32])
def test_wrong_shapes_and_types(bits):
    W = numpy.ones((4, 3), 'f')
    for x, b in ((numpy.zeros((2, 5), 'f'), None),
                 (numpy.zeros((2, 3), 'i'), None),
                 (numpy.zeros((2, 3), 'f'), numpy.zeros(5, 'f'))):
        with pytest.raises(type_check.InvalidType):
            function_quantized_linear.quantized_linear(x, W, b, bits)


def test_levels():
    assert qst.levels(2, 'dorefa') == (3, 0, 1)
    assert qst.levels(8, 'dorefa') == (255, 0, 1)
    assert qst.levels(2, 'linear') == (2, -1, 1)
    assert qst.levels(8, 'linear') == (128, -1, 1)


testing.run_module(__name__, __file__)
