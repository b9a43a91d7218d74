"""K and beta: against loops in float64, and numerical gradients."""
import numpy
from chainer import gradient_check

from zoo.xnor_net import function_input_scale

input_scale = function_input_scale.input_scale
linear_input_scale = function_input_scale.linear_input_scale
TOLERANCES = {numpy.float16: 5e-3, numpy.float32: 1e-5, numpy.float64: 1e-12}
OPTIONS = [
    {'ksize': 3}, {'ksize': 1}, {'ksize': 3, 'stride': 2, 'pad': 1},
    {'ksize': (3, 2), 'stride': (1, 2), 'pad': (2, 0)},
    {'ksize': (2, 3), 'dilate': (3, 2), 'pad': 1}]


def pair(x):
    return x if isinstance(x, tuple) else (x, x)


def expected_scale(x, ksize, stride=1, pad=0, dilate=1):
    """K, one place at a time."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = map(
        pair, (ksize, stride, pad, dilate))
    A = numpy.pad(abs(x.astype('d')).mean(axis=1),
                  ((0, 0), (ph, ph), (pw, pw)))
    h = (A.shape[1] - dh * (kh - 1) - 1) // sh + 1
    w = (A.shape[2] - dw * (kw - 1) - 1) // sw + 1
    K = numpy.empty((len(x), 1, h, w))
    for i in range(h):
        for j in range(w):
            rows = sh * i + dh * numpy.arange(kh)
            columns = sw * j + dw * numpy.arange(kw)
            K[:, 0, i, j] = A[:, rows][:, :, columns].mean(axis=(1, 2))
    return K


def images(*shape):
    """No zero nearby, where the size has no derivative."""
    return numpy.random.choice([-1, 1], shape) * (
        numpy.random.uniform(.2, 2, shape))


def test_by_hand():
    x = numpy.array([[[[1, -2]], [[-3, 4]]]], 'f')  # sizes 2 and 3
    numpy.testing.assert_array_equal(
        input_scale(x, (1, 2)).array, [[[[2.5]]]])
    # The padding counts as 0.
    numpy.testing.assert_array_equal(
        input_scale(x, (1, 2), pad=(0, 1)).array, [[[[1, 2.5, 1.5]]]])
    numpy.testing.assert_array_equal(linear_input_scale(x).array, [[2.5]])


def test_against_loop():
    x = images(2, 3, 7, 6)
    for dtype, tolerance in TOLERANCES.items():
        for options in OPTIONS:
            y = input_scale(x.astype(dtype), **options)
            assert y.dtype == dtype
            numpy.testing.assert_allclose(
                y.array, expected_scale(x, **options), rtol=tolerance,
                atol=tolerance)
        for shape in (3, 5), (2, 3, 2, 4):
            x_linear = images(*shape)
            y = linear_input_scale(x_linear.astype(dtype))
            assert y.dtype == dtype
            numpy.testing.assert_allclose(
                y.array, abs(x_linear).reshape(len(x_linear), -1).mean(
                    axis=1, keepdims=True), rtol=tolerance)


def test_gradients():
    for options in OPTIONS:
        x = images(2, 3, 7, 6)
        gradient_check.check_backward(
            lambda x, options=options: input_scale(x, **options), x,
            images(*input_scale(x, **options).shape), dtype=numpy.float64)
    gradient_check.check_backward(
        linear_input_scale, images(2, 3, 2, 4), images(2, 1),
        dtype=numpy.float64)


def test_float16_does_not_overflow():
    x = numpy.full((1, 4096, 2, 2), 100, numpy.float16)
    assert (input_scale(x, 2).array == 100).all()
    assert (linear_input_scale(x).array == 100).all()
