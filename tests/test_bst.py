"""The activation against hand-computed values."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.utils import type_check

import bst
from tests.helpers import devices

DTYPES = numpy.float16, numpy.float32, numpy.float64
INF, NAN = numpy.inf, numpy.nan


def gradient(device, x, gy, dtype):
    x = chainer.Variable(device.send(numpy.array(x, dtype)))
    y = bst.bst(x)
    y.grad = device.send(numpy.array(gy, dtype))
    y.backward()
    assert x.grad.dtype == dtype
    return devices.to_cpu(x.grad)


@devices.each
def test_values(device):
    device = devices.get(device)
    for dtype in DTYPES:
        tiny = numpy.nextafter(dtype(0), dtype(1))
        x = numpy.array([-3, -1, -tiny, -0., 0., tiny, .5, INF, -INF, NAN],
                        dtype)
        y = bst.bst(device.send(x))
        assert y.dtype == dtype
        assert isinstance(y.array, device.supported_array_types)
        numpy.testing.assert_array_equal(
            devices.to_cpu(y), [-1, -1, -1, 1, 1, 1, 1, 1, -1, -1])


@devices.each
def test_shapes(device):
    device = devices.get(device)
    for shape in (4, 3), (2, 3, 1, 5), (7,), (), (0, 3):
        for dtype in DTYPES:
            x = numpy.random.uniform(-2, 2, shape).astype(dtype)
            y = bst.bst(device.send(x))
            assert (y.shape, y.dtype) == (shape, dtype)
            numpy.testing.assert_array_equal(
                devices.to_cpu(y), numpy.where(x < 0, -1, 1))


@devices.each
def test_gradient(device):
    device = devices.get(device)
    for dtype in DTYPES:
        one = dtype(1)
        above, below = (numpy.nextafter(one, dtype(to)) for to in (2, 0))
        # x, gy, gx: 1 is inside.
        for x, gy, gx in (
                (-2, 1, 0), (-.5, 2, 2), (0, 3, 3), (-0., 3, 3),
                (.5, -4, -4), (2, 5, 0), (INF, 6, 0), (-INF, 7, 0),
                (NAN, 8, 0), (2, INF, 0), (2, NAN, 0), (0, INF, INF),
                (0, NAN, NAN), (below, 1, 1), (one, 2, 2), (above, 3, 0),
                (-below, 4, 4), (-one, 5, 5), (-above, 6, 0)):
            # Several at once, as kernels have vectors
            numpy.testing.assert_array_equal(
                gradient(device, [x] * 5, [gy] * 5, dtype), [gx] * 5)


@devices.each
def test_double_backward(device):
    device = devices.get(device)

    def variable(values):
        return chainer.Variable(device.send(numpy.array(values, 'f')))

    x, gy = variable([-2, -1, 0, .5, 3]), variable([1, 2, 3, 4, 5])
    gx, = chainer.grad([bst.bst(x)], [x], [gy], enable_double_backprop=True)
    ggx = variable([10, 20, 30, 40, 50])
    ggy, gx_x = chainer.grad(
        [gx], [gy, x], [ggx], enable_double_backprop=True)
    numpy.testing.assert_array_equal(
        devices.to_cpu(ggy), [0, 20, 30, 40, 0])
    assert gx_x is None  # the mask is a constant
    # Linear in gy: nothing is left after that.
    third, = chainer.grad([ggy], [gy])
    assert third is None
    fourth, = chainer.grad([ggy], [ggx], [variable([1] * 5)])
    numpy.testing.assert_array_equal(devices.to_cpu(fourth), [0, 1, 1, 1, 0])


def test_gradient_through_a_net():
    x = chainer.Variable(numpy.array([.5, -.25, 2.], numpy.float32))
    F.sum(bst.bst(x * 3) * 5).backward()
    numpy.testing.assert_array_equal(x.grad, [0, 15, 0])


def test_strides():
    whole = numpy.random.uniform(-2, 2, (6, 8)).astype('f')
    for x in whole.T, whole[::2, 1::3]:
        numpy.testing.assert_array_equal(
            bst.bst(x).array, numpy.where(x < 0, -1, 1))
        numpy.testing.assert_array_equal(
            gradient(chainer.get_device('@numpy'), x, x, numpy.float32),
            numpy.where(abs(x) <= 1, x, 0))


def test_wrong_dtype():
    for dtype in 'int8', 'int32', 'uint8', 'bool', 'complex64':
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
