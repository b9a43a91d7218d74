"""The activation against hand-computed values."""
import unittest

import chainer
import numpy
import pytest
from chainer import testing
from chainer.utils import type_check

import bst

DTYPES = (numpy.float16, numpy.float32, numpy.float64)


@testing.parameterize(*testing.product({
    'dtype': DTYPES,
    'shape': [(4, 3), (2, 3, 1, 5), (7,), (), (0, 3)],
}))
@testing.inject_backend_tests(None, [{}, {'use_cuda': True}])
class TestBST(testing.FunctionTestCase):

    # The straight-through gradient is not the numerical one.
    skip_backward_test = True
    skip_double_backward_test = True

    def generate_inputs(self):
        x = numpy.random.uniform(-2, 2, self.shape).astype(self.dtype)
        return x,

    def forward_expected(self, inputs):
        x, = inputs
        return numpy.where(x < 0, -1, 1).astype(x.dtype),

    def forward(self, inputs, device):
        return bst.bst(*inputs),


@testing.parameterize(*testing.product({'dtype': DTYPES}))
@testing.inject_backend_tests(
    ['test_forward', 'test_backward', 'test_bound', 'test_double_backward'],
    [{}, {'use_cuda': True}])
class TestBSTByHand(unittest.TestCase):

    def test_forward(self, backend_config):
        tiny = numpy.nextafter(self.dtype(0), self.dtype(1))
        x = backend_config.get_array(numpy.array(
            [-3, -1, -tiny, -0., 0., tiny, .5, numpy.inf, -numpy.inf,
             numpy.nan], self.dtype))
        y = bst.bst(x)
        assert y.dtype == self.dtype
        numpy.testing.assert_array_equal(
            chainer.get_device('@numpy').send(y.array),
            [-1, -1, -1, 1, 1, 1, 1, 1, -1, -1])

    def _gradient(self, backend_config, x, gy):
        x = chainer.Variable(
            backend_config.get_array(numpy.array(x, self.dtype)))
        y = bst.bst(x)
        y.grad = backend_config.get_array(numpy.array(gy, self.dtype))
        y.backward()
        assert x.grad.dtype == self.dtype
        return chainer.get_device('@numpy').send(x.grad)

    def test_backward(self, backend_config):
        inf, nan = numpy.inf, numpy.nan
        gx = self._gradient(
            backend_config,
            [-2, -.5, 0, .5, 2, inf, -inf, nan, 2, 0, 0],
            [1, 2, 3, -4, 5, 6, 7, 8, inf, inf, nan])
        numpy.testing.assert_array_equal(
            gx, [0, 2, 3, -4, 0, 0, 0, 0, 0, inf, nan])

    def test_bound(self, backend_config):
        one = self.dtype(1)
        above = numpy.nextafter(one, self.dtype(2))
        below = numpy.nextafter(one, self.dtype(0))
        gx = self._gradient(
            backend_config, [below, one, above, -below, -one, -above],
            [1, 2, 3, 4, 5, 6])
        numpy.testing.assert_array_equal(gx, [1, 2, 0, 4, 5, 0])

    def test_double_backward(self, backend_config):
        def variable(values):
            return chainer.Variable(
                backend_config.get_array(numpy.array(values, self.dtype)))

        x = variable([-2, -1, 0, .5, 3])
        gy = variable([1, 2, 3, 4, 5])
        gx, = chainer.grad(
            [bst.bst(x)], [x], [gy], enable_double_backprop=True)
        ggx = variable([10, 20, 30, 40, 50])
        ggy, gx_x = chainer.grad(
            [gx], [gy, x], [ggx], enable_double_backprop=True)
        numpy.testing.assert_array_equal(
            chainer.get_device('@numpy').send(ggy.array), [0, 20, 30, 40, 0])
        assert gx_x is None  # the mask is a constant
        # Linear in gy: nothing is left after that.
        third, = chainer.grad([ggy], [gy])
        assert third is None
        fourth, = chainer.grad([ggy], [ggx], [variable([1] * 5)])
        numpy.testing.assert_array_equal(
            chainer.get_device('@numpy').send(fourth.array), [0, 1, 1, 1, 0])


def test_gradient_through_a_net():
    x = chainer.Variable(numpy.array([.5, -.25, 2.], numpy.float32))
    chainer.functions.sum(bst.bst(x * 3) * 5).backward()
    numpy.testing.assert_array_equal(x.grad, [0, 15, 0])


@pytest.mark.parametrize('dtype', [
    numpy.int8, numpy.int32, numpy.uint8, bool, numpy.complex64])
def test_wrong_dtype(dtype):
    with pytest.raises(type_check.InvalidType):
        bst.bst(numpy.ones(3, dtype))


def test_input_stays():
    x = numpy.array([-.5, 0, 3], numpy.float32)
    v = chainer.Variable(x)
    y = bst.bst(v)
    y.grad = numpy.ones_like(x)
    y.backward(retain_grad=True)
    numpy.testing.assert_array_equal(x, [-.5, 0, 3])
    numpy.testing.assert_array_equal(y.grad, 1)


def test_result_is_known_to_be_binary():
    y = bst.bst(numpy.array([-.5, 0, 3], 'f'))
    assert bst.is_binary(y)
    # Whatever is made of it is not, and arrays are not.
    assert not bst.is_binary(y + 0)
    assert not bst.is_binary(y.array)


def test_debug_mode_looks():
    y = bst.mark(chainer.Variable(numpy.array([1, -1, .5], 'f')))
    assert bst.is_binary(y)
    with chainer.using_config('debug', True):
        with pytest.raises(ValueError, match='other values'):
            bst.is_binary(y)
        y.array[2] = 1
        assert bst.is_binary(y)


testing.run_module(__name__, __file__)
