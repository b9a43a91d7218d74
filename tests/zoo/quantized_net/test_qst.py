"""The k-bit activation: values, gradients, 1 and 32 bits."""
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import testing
from chainer.utils import type_check

import bst
from zoo.quantized_net import qst

DTYPES = (numpy.float16, numpy.float32, numpy.float64)
BACKENDS = [{}, {'use_cuda': True}]
QUANTIZERS = ('dorefa', 'linear')


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


def run(backend_config, x, gy, *args):
    """Returns value and gradient."""
    x = chainer.Variable(backend_config.get_array(x))
    y = qst.qst(x, *args)
    y.grad = backend_config.get_array(gy)
    y.backward()
    assert y.dtype == x.grad.dtype == x.dtype
    return to_cpu(y.array), to_cpu(x.grad)


@testing.parameterize(*testing.product({
    'dtype': DTYPES,
    'shape': [(4, 3), (2, 3, 1, 5), (), (0, 3)],
    'bits': [2, 3, 8],
    'quantizer': QUANTIZERS,
}))
@testing.inject_backend_tests(None, BACKENDS)
class TestQST(testing.FunctionTestCase):

    # The straight-through gradient is not the numerical one.
    skip_backward_test = True
    skip_double_backward_test = True

    def setUp(self):
        # One unit in the last place decides a level; the rest is exact
        self.check_forward_options = {'atol': 1e-3, 'rtol': 1e-3} if (
            self.dtype == numpy.float16) else {'atol': 1e-6, 'rtol': 1e-6}

    def generate_inputs(self):
        n = 2 ** self.bits - 1
        # Levels moved by less than half a step: no value near a boundary
        x = (numpy.random.randint(-n, 2 * n, self.shape)
             + numpy.random.uniform(-.2, .2, self.shape)) / n
        if self.quantizer == 'linear':
            n = 2 ** (self.bits - 1)
            x = (numpy.random.randint(-2 * n, 2 * n, self.shape)
                 + numpy.random.uniform(-.2, .2, self.shape)) / n
        return numpy.asarray(x).astype(self.dtype),

    def forward_expected(self, inputs):
        x = inputs[0].astype(numpy.float64)
        if self.quantizer == 'dorefa':
            n = 2 ** self.bits - 1
            y = numpy.floor(numpy.clip(x, 0, 1) * n + .5) / n
        else:
            step = 2. ** (1 - self.bits)
            y = numpy.clip(numpy.floor(x / step + .5) * step, -1, 1)
        return numpy.asarray(y).astype(self.dtype),

    def forward(self, inputs, device):
        return qst.qst(*inputs, self.bits, self.quantizer),


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_dorefa', 'test_linear', 'test_one_bit', 'test_32_bits',
     'test_double_backward'], BACKENDS)
class TestQSTByHand(unittest.TestCase):

    def _edges(self, end):
        end = self.dtype(end)
        return [numpy.nextafter(end, self.dtype(-9)), end,
                numpy.nextafter(end, self.dtype(9))]

    def test_dorefa(self, backend_config):
        x = numpy.array(
            [-5, *self._edges(0), .1, .2, .4, .5, .6, .9, *self._edges(1), 5,
             numpy.nan, numpy.inf, -numpy.inf], self.dtype)
        gy = numpy.arange(1, len(x) + 1).astype(self.dtype)
        y, gx = run(backend_config, x, gy, 2)  # DoReFa by default
        expected = numpy.array(
            [0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, numpy.nan, 3, 0])
        numpy.testing.assert_array_equal(y, (expected / 3).astype(self.dtype))
        numpy.testing.assert_array_equal(
            gx, [0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0, 0])

    def test_linear(self, backend_config):
        x = numpy.array(
            [-5, *self._edges(-1), -.76, -.75, -.74, -.25, -.2, 0, .25, .26,
             .75, *self._edges(1), 5, numpy.nan, numpy.inf, -numpy.inf],
            self.dtype)
        gy = numpy.arange(1, len(x) + 1).astype(self.dtype)
        y, gx = run(backend_config, x, gy, 2, 'linear')
        numpy.testing.assert_array_equal(
            y, [-1, -1, -1, -1, -1, -1, -.5, 0, 0, 0, 0, .5, 1, 1, 1, 1, 1,
                numpy.nan, 1, -1])
        numpy.testing.assert_array_equal(
            gx, [0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0,
                 0, 0])

    def test_one_bit(self, backend_config):
        x = numpy.random.RandomState(0).uniform(-2, 2, 200)
        x = numpy.concatenate([x, [
            0, -0., 1, -1, *self._edges(1), *self._edges(-1), numpy.inf,
            -numpy.inf, numpy.nan]]).astype(self.dtype)
        gy = numpy.random.RandomState(1).normal(size=len(x)).astype(
            self.dtype)
        v = chainer.Variable(backend_config.get_array(x))
        expected = bst.bst(v)
        expected.grad = backend_config.get_array(gy)
        expected.backward()
        for quantizer in QUANTIZERS:
            y, gx = run(backend_config, x, gy, 1, quantizer)
            assert y.tobytes() == to_cpu(expected.array).tobytes()
            assert gx.tobytes() == to_cpu(v.grad).tobytes()

    def test_32_bits(self, backend_config):
        for quantizer, low in ('dorefa', 0), ('linear', -1):
            x = numpy.array(
                [-5, *self._edges(low), -.3, .123, *self._edges(1), 5],
                self.dtype)
            gy = numpy.arange(1, len(x) + 1).astype(self.dtype)
            y, gx = run(backend_config, x, gy, 32, quantizer)
            numpy.testing.assert_array_equal(y, numpy.clip(x, low, 1))
            numpy.testing.assert_array_equal(
                gx, numpy.where((low <= x) & (x <= 1), gy, 0))
            numpy.testing.assert_array_equal(y, F.clip(
                x, float(low), 1.).array)

    def test_double_backward(self, backend_config):
        def variable(values):
            return chainer.Variable(
                backend_config.get_array(numpy.array(values, self.dtype)))

        x = variable([-2, 0, .5, 1, 3])
        gy = variable([1, 2, 3, 4, 5])
        gx, = chainer.grad(
            [qst.qst(x, 2)], [x], [gy], enable_double_backprop=True)
        ggy, gx_x = chainer.grad([gx], [gy, x], [variable([10] * 5)])
        numpy.testing.assert_array_equal(
            to_cpu(ggy.array), [0, 10, 10, 10, 0])
        assert gx_x is None  # the mask is a constant


@pytest.mark.parametrize('bits', range(2, 9))
def test_number_of_levels(bits):
    x = numpy.linspace(-1.2, 1.2, 20001).astype(numpy.float32)
    y = qst.qst(x, bits).array
    assert len(numpy.unique(y)) == 2 ** bits
    assert (y.min(), y.max()) == (0, 1)
    y = qst.qst(x, bits, 'linear').array
    levels = numpy.unique(y)
    numpy.testing.assert_array_equal(
        levels, numpy.arange(-2 ** (bits - 1), 2 ** (bits - 1) + 1)
        * 2. ** (1 - bits))
    assert len(levels) == 2 ** bits + 1


@pytest.mark.parametrize('bits', range(2, 9))
def test_levels_are_fixed_points(bits):
    for quantizer in QUANTIZERS:
        n, low, high = qst.levels(bits, quantizer)
        for dtype in DTYPES:
            x = (numpy.arange(low * n, high * n + 1) / n).astype(dtype)
            numpy.testing.assert_array_equal(
                qst.qst(x, bits, quantizer).array, x)


def test_non_contiguous():
    x = numpy.random.RandomState(0).uniform(-2, 2, (6, 8)).astype('f')
    for view in x[::2, 1::3], x.T, x[:, ::-1]:
        v = chainer.Variable(view)
        y = qst.qst(v, 3)
        numpy.testing.assert_array_equal(
            y.array, qst.qst(view.copy(), 3).array)
        y.grad = numpy.ones_like(view)
        y.backward()
        numpy.testing.assert_array_equal(
            v.grad, (0 <= view) & (view <= 1))


def test_input_stays():
    x = numpy.array([-.5, .4, 3], numpy.float32)
    qst.qst(x, 2)
    numpy.testing.assert_array_equal(
        x, numpy.array([-.5, .4, 3], numpy.float32))


def test_example_of_the_docstring():
    y = qst.qst(numpy.array([-1., 0.4, 0.6, 2.], 'f'), 2).array * 3
    assert y.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('bits', [0, -1, 9, 16, 31, 33, 2.5, None, '2'])
@pytest.mark.parametrize('quantizer', QUANTIZERS)
def test_wrong_bits(bits, quantizer):
    with pytest.raises(ValueError, match='bits must be 1 to 8 or 32'):
        qst.qst(numpy.zeros(3, 'f'), bits, quantizer)


@pytest.mark.parametrize('bits', [1, 2, 32])
def test_wrong_quantizer(bits):
    with pytest.raises(ValueError, match="no quantizer 'log'.*dorefa.*linear"):
        qst.qst(numpy.zeros(3, 'f'), bits, 'log')


@pytest.mark.parametrize('dtype', [numpy.int32, numpy.uint8, bool])
@pytest.mark.parametrize('bits', [1, 2])
def test_wrong_dtype(dtype, bits):
    with pytest.raises(type_check.InvalidType):
        qst.qst(numpy.ones(3, dtype), bits)


testing.run_module(__name__, __file__)
