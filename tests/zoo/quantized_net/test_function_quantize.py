"""k-bit weights against a float64 formula, and by finite differences."""
import chainer
import numpy
import pytest

import bst
from zoo.quantized_net import function_quantize

quantize = function_quantize.quantize
DTYPES = (numpy.float16, numpy.float32, numpy.float64)
QUANTIZERS = ('dorefa', 'linear')


def scaled(W):
    """What DoReFa rounds, before the rounding, as a number in [-1, 1]."""
    t = numpy.tanh(W.astype(numpy.float64))
    return t / abs(t).max()


def latent(q, dtype, largest=1.):
    """Latent weights whose tanh is ``q`` times the largest tanh."""
    return numpy.arctanh(
        numpy.array(q) * numpy.tanh(largest)).astype(dtype)


def test_dorefa():
    for bits in range(2, 9):
        W = numpy.random.normal(0, .7, (40, 30))
        W[0, :3] = 0, -0., 1e-3
        n = 2 ** bits - 1
        for dtype in DTYPES:
            W_q = quantize(W.astype(dtype), bits).array
            assert W_q.dtype == dtype
            assert W_q.shape == W.shape
            eps = float(numpy.finfo(dtype).eps)
            # The level's number, and how far from a boundary it was
            position = (scaled(W.astype(dtype)) / 2 + .5) * n
            number = numpy.floor(position + .5)
            margin = abs(position - numpy.floor(position) - .5)
            error = abs((W_q.astype(float) + 1) / 2 * n - number)
            clear = margin > 4 * n * eps
            assert clear.mean() > .2 or dtype == numpy.float16
            assert error[clear].max(initial=0) < 4 * n * eps
            # At a boundary, where float16 cannot tell, it is a neighbour
            assert error.max() < 1 + 4 * n * eps
            # The tie at 0 goes to the even level.
            even = n // 2 + n // 2 % 2
            numpy.testing.assert_allclose(
                (W_q[0, :2].astype(float) + 1) / 2 * n, even, rtol=4 * eps)
            assert abs(W_q).max() == 1


def test_dorefa_by_hand():
    for dtype in DTYPES:
        for largest in .125, 1., 3.:
            W = latent([-1, -.7, -.64, -.01, 0, .01, .64, .7, 1], dtype,
                       largest)
            numpy.testing.assert_allclose(
                quantize(W, 2).array * 3, [-3, -3, -1, -1, 1, 1, 1, 3, 3],
                rtol=5e-3)
            # Boundaries, in multiples of the largest tanh: 2(j + .5)/n - 1
            boundaries = 2 * (numpy.arange(7) + .5) / 7 - 1
            W = latent([-1, *(boundaries - 8e-3), *(boundaries + 8e-3), 1],
                       dtype, largest)
            expected = 2 * numpy.array(
                [0, *range(7), *range(1, 8), 7]) / 7 - 1
            numpy.testing.assert_allclose(
                quantize(W, 3).array, expected,
                atol=4 * numpy.finfo(dtype).eps)


def test_linear():
    W = numpy.random.normal(0, .7, (40, 30))
    for bits in range(2, 9):
        for dtype in DTYPES:
            W_q = quantize(W.astype(dtype), bits, 'linear').array
            step = 2. ** (1 - bits)
            assert W_q.dtype == dtype
            numpy.testing.assert_array_equal(W_q, numpy.clip(numpy.rint(
                W.astype(dtype).astype(float) / step) * step, -1, 1))
            assert (W_q.min(), W_q.max()) == (-1, 1)


def test_1_and_32_bits():
    W = numpy.array([-2, -.5, 0, .5], 'f')
    for quantizer in QUANTIZERS:
        numpy.testing.assert_array_equal(
            quantize(W, 1, quantizer).array, bst.bst(W).array)
        numpy.testing.assert_array_equal(
            quantize(W, 32, quantizer).array, W)


def gradient(W, g, *args):
    W = chainer.Parameter(W)
    y = quantize(W, *args)
    y.grad = g.astype(W.dtype)
    y.backward()
    return W.grad


def test_dorefa_gradient_against_finite_differences():
    g = numpy.random.normal(size=(3, 4))
    for largest in None, -4:  # the largest weight may be negative
        W = numpy.random.normal(0, 1, (3, 4))
        if largest is not None:
            W[1, 2] = largest
        # The rounding taken for the identity: 2 q + 1 - 1 = tanh / max
        numerical, step = numpy.empty_like(W), 1e-6
        for i in numpy.ndindex(W.shape):
            values = []
            for sign in 1, -1:
                moved = W.copy()
                moved[i] += sign * step
                values.append((g * scaled(moved)).sum())
            numerical[i] = (values[0] - values[1]) / (2 * step)
        if largest is None:
            # That of the largest weight comes from the maximum alone
            assert abs(numerical.flat[abs(W).argmax()]) > .01
        for bits in 2, 3, 8:
            numpy.testing.assert_allclose(
                gradient(W, g, bits), numerical, rtol=1e-5, atol=1e-7)
        numpy.testing.assert_allclose(
            gradient(W.astype('f'), g, 4), numerical, rtol=1e-3, atol=1e-4)
        # A common factor on tanh W changes nothing: no gradient along it.
        t = numpy.tanh(W)
        assert abs((gradient(W, g, 2) / (1 - t ** 2) * t).sum()) < 1e-9


@pytest.mark.parametrize('dtype', 'fd')
def test_dorefa_is_that_of_the_functions(dtype):
    W = chainer.Parameter(numpy.random.normal(0, .7, (40, 30)).astype(dtype))
    g = numpy.random.normal(size=W.shape).astype(dtype)
    found = []
    for function, bits in ((function_quantize.quantize, 3),
                           (function_quantize._by_functions, 7)):
        y = function(W, bits)
        gW, = chainer.grad([y], [W], [chainer.Variable(g)],
                           enable_double_backprop=True)
        ggW, = chainer.grad([gW], [W], [chainer.Variable(g[::-1].copy())])
        found.append((y.array, gW.array, ggW.array))
    for one, other in zip(*found, strict=True):
        numpy.testing.assert_allclose(
            one, other, rtol=0, atol=1e-4 if dtype == 'f' else 1e-11)


def test_linear_gradient():
    numpy.testing.assert_array_equal(
        gradient(numpy.array([[-1.5, -1, .3], [1, 1.5, 0]], 'f'),
                 numpy.arange(1, 7).reshape(2, 3), 3, 'linear'),
        [[0, 2, 3], [4, 0, 6]])


def test_all_zero_weights():
    with numpy.errstate(invalid='ignore'):
        W_q = quantize(numpy.zeros((2, 2), 'f'), 2).array
    assert numpy.isnan(W_q).all()  # as the documentation has it


def test_wrong_arguments():
    for bits in 0, 9, -1, 16, None:
        for quantizer in QUANTIZERS:
            with pytest.raises(ValueError, match='1 to 8 or 32'):
                quantize(numpy.ones((4, 3), 'f'), bits, quantizer)
    for bits in 1, 2, 32:
        with pytest.raises(ValueError, match='no quantizer'):
            quantize(numpy.ones((4, 3), 'f'), bits, 'log')
