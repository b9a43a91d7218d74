"""The function against NumPy, finite differences and F.linear."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

import bst
import function_binary_linear
from bnn.kernels import signs
from tests.helpers import devices

binary_linear = function_binary_linear.binary_linear
DTYPES = numpy.float16, numpy.float32, numpy.float64
SHAPES = (4, 6), (1, 6), (3, 2, 3), (2, 1, 2, 3)


def sign(W):
    return numpy.where(W < 0, -1, 1).astype(W.dtype)


def random(*shape, dtype=numpy.float64):
    return numpy.random.uniform(-1, 1, shape).astype(dtype)


def run(gy, *arrays):
    """Returns y and the gradients of x, W and, if there is one, b."""
    variables = [chainer.Variable(array) for array in arrays]
    y = binary_linear(*variables)
    y.grad = gy
    y.backward()
    return [y.array, *(one.grad for one in variables)]


@devices.each
def test_by_hand(device):
    device = devices.get(device)
    for dtype in DTYPES:
        found = run(*(device.send(numpy.array(values, dtype)) for values in (
            [[1, 2], [3, 4]], [[1, 2, 3], [-4, 5, .5]],
            [[-3, 0, .5], [2, -.25, -0.]], [10, 20])))
        # The signs are [[-1, 1, 1], [1, -1, 1]].  There is no mask: -3 and 2
        # are outside [-1, 1] and have a gradient too.
        for actual, expected in zip(found, (
                [[14, 22], [19.5, 11.5]], [[1, -1, 3], [1, -1, 7]],
                [[-11, 17, 4.5], [-14, 24, 8]], [4, 6]), strict=True):
            assert actual.dtype == dtype
            numpy.testing.assert_array_equal(devices.to_cpu(actual), expected)


@devices.each
def test_special_weights(device):
    device = devices.get(device)
    for dtype in DTYPES:
        W = numpy.array(
            [[0, -0., numpy.nan, numpy.inf, -numpy.inf]], dtype)
        y = binary_linear(*(device.send(a) for a in (
            numpy.eye(5, dtype=dtype), W)))
        numpy.testing.assert_array_equal(
            devices.to_cpu(y), [[1], [1], [-1], [1], [-1]])


@devices.each
def test_against_numpy(device):
    device = devices.get(device)
    for shape in SHAPES:
        for dtype in DTYPES:
            arrays = [random(*s, dtype=dtype)
                      for s in ((shape[0], 5), shape, (5, 6), (5,))]
            arrays[2][0, 0] = 0
            gy, x, W, b = (a.astype('d') for a in arrays)
            flat = x.reshape(len(x), -1)
            expected = [flat @ sign(W).T + b, (gy @ sign(W)).reshape(shape),
                        gy.T @ flat, gy.sum(axis=0)]
            for n in 2, 3:  # without and with a bias
                found = run(*map(device.send, arrays[:1 + n]))
                if n == 2:
                    found[0] = found[0] + device.send(arrays[3])
                for actual, wanted in zip(found, expected):
                    assert actual.dtype == dtype
                    assert actual.shape == wanted.shape
                    tolerance = 1e-2 if dtype == numpy.float16 else 1e-5
                    numpy.testing.assert_allclose(
                        devices.to_cpu(actual), wanted, rtol=tolerance,
                        atol=tolerance)


def test_weight_gradient_is_that_of_the_binary_weight():
    """By finite differences at sign(W), not at W."""
    for shape in SHAPES:
        x, W, b, gy = random(*shape), random(5, 6), random(5), random(
            shape[0], 5)
        _, _, gradient, _ = run(gy, x, W, b)
        binary = sign(W)
        expected, = gradient_check.numerical_grad(
            lambda x=x, binary=binary, b=b: (F.linear(x, binary, b).array,),
            (binary,), (gy,))
        numpy.testing.assert_allclose(
            gradient, expected, rtol=1e-6, atol=1e-8)


def test_input_gradients():
    W = random(5, 6)
    for shape in SHAPES:
        for more in (), (random(5),):
            gradient_check.check_backward(
                lambda x, b=None: binary_linear(x, W, b),
                (random(*shape), *more), random(shape[0], 5),
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


def test_empty_batch():
    for shape in (0, 6), (0, 2, 3), (0, 1, 2, 3):
        for dtype in DTYPES:
            y, gx, gW, gb = run(
                numpy.zeros((0, 5), dtype), numpy.zeros(shape, dtype),
                random(5, 6, dtype=dtype), random(5, dtype=dtype))
            assert (y.shape, y.dtype) == ((0, 5), dtype)
            assert gx.shape == shape
            numpy.testing.assert_array_equal(gW, numpy.zeros((5, 6)))
            numpy.testing.assert_array_equal(gb, numpy.zeros(5))


def test_strides():
    for dtype in DTYPES:
        arrays = (random(10, 4, dtype=dtype)[::2].T,
                  random(8, 12, dtype=dtype)[::2, ::2],
                  random(6, 10, dtype=dtype).T[::2])
        found = run(*arrays)
        expected = run(*map(numpy.ascontiguousarray, arrays))
        for a, e in zip(found, expected, strict=True):
            numpy.testing.assert_allclose(a, e, rtol=5e-3, atol=5e-3)


def test_signs_are_those_of_the_forward_pass():
    """The signs are taken once: a later change of W has no effect."""
    x, W = random(4, 6), random(5, 6)
    latent = chainer.Variable(W)
    y = binary_linear(chainer.Variable(x), latent)
    expected = sign(W)
    W *= -1
    gx, = chainer.grad([F.sum(y)], [y.creator.inputs[0].get_variable()])
    numpy.testing.assert_allclose(
        gx.array, numpy.ones((4, 5)) @ expected, rtol=1e-12)


def test_wrong_arguments():
    for shapes, dtypes in (
            (((4, 6), (5, 6)), 'fd'), (((4, 6), (5, 6)), 'ef'),
            (((4, 6), (5, 6)), 'ii'), (((4, 6), (5, 6)), 'if'),
            (((4, 6), (5, 6)), 'fi'), (((4, 6), (5, 6), (5,)), 'ffd'),
            (((4, 6), (5, 6), (5,)), 'ffi'), (((4, 6), (5, 7)), 'ff'),
            (((4, 2, 3), (5, 7)), 'ff'), (((6,), (5, 6)), 'ff'),
            (((), (5, 6)), 'ff'), (((4, 6), (6,)), 'ff'),
            (((4, 6), (5, 2, 3)), 'ff'), (((4, 6), (5, 6), (6,)), 'fff'),
            (((4, 6), (5, 6), (1,)), 'fff'),
            (((4, 6), (5, 6), (1, 5)), 'fff'),
            (((4, 6), (5, 6), ()), 'fff')):
        args = [numpy.zeros(shape, dtype)
                for shape, dtype in zip(shapes, dtypes, strict=True)]
        with pytest.raises(type_check.InvalidType):
            binary_linear(*args)


def test_inputs_stay():
    arrays = random(4, 6), random(5, 6), random(5)
    copies = [a.copy() for a in arrays]
    F.sum(binary_linear(*map(chainer.Variable, arrays)) ** 2).backward()
    for a, c in zip(arrays, copies, strict=True):
        numpy.testing.assert_array_equal(a, c)


def test_packed_signs_give_the_same_bits(monkeypatch):
    """XNOR and popcount, or the BLAS: the inputs are +1 and -1 alone."""
    x = bst.bst(random(9, 2, 35, dtype='f')).array
    W, b = random(6, 70, dtype='f'), random(6, dtype='f')
    gy = numpy.arange(54, dtype='f').reshape(9, 6)
    results = []
    for least in 0, 1 << 60:
        monkeypatch.setattr(signs, 'MIN_PRODUCTS', least)
        results.append(run(gy, x, W, b))
    for packed, blas in zip(*results, strict=True):
        assert packed.dtype == numpy.float32
        assert packed.tobytes() == blas.tobytes()


def test_other_inputs_are_not_packed(monkeypatch):
    """One value that is no sign, wherever it is, counts as it is."""
    monkeypatch.setattr(signs, 'MIN_PRODUCTS', 0)
    W = random(6, 70, dtype='f')
    for place in (0, 0), (4, 35), (8, 69):
        for value in 0., -0., .5, -2., 1 + 2 ** -23:
            x = sign(random(9, 70, dtype='f'))
            x[place] = value
            # Whole numbers but for one: a sum is rounded once.
            numpy.testing.assert_allclose(
                binary_linear(x, W).array, x @ sign(W).T, rtol=0, atol=1e-5)


def test_flatten():
    x = numpy.arange(24.)
    for shape, expected in (((24,), (24,)), ((4, 6), (4, 6)),
                            ((2, 3, 4), (2, 12)), ((0, 3, 4), (0, 12)),
                            ((1, 2, 3, 4), (1, 24))):
        y = function_binary_linear.flatten(
            x[:numpy.prod(shape)].reshape(shape))
        assert y.shape == expected
        numpy.testing.assert_array_equal(y.ravel(), x[:y.size])
