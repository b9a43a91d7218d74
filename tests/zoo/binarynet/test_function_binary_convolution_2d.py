"""The convolution against a loop, finite differences and Chainer's."""
import itertools
import weakref

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer.utils import type_check

from bnn.kernels import sign_images
from zoo.binarynet import function_binarize
from zoo.binarynet import function_binary_convolution_2d
from zoo.xnor_net import function_scaled_binarize

binary_convolution_2d = function_binary_convolution_2d.binary_convolution_2d
binarize = function_binarize.binarize
scaled_binarize = function_scaled_binarize.scaled_binarize
BINARIZERS = (binarize, scaled_binarize)
DTYPES = (numpy.float16, numpy.float32, numpy.float64)
# Sums of 12 products of numbers up to 1: float16 has 11 bits, float32 24.
TOLERANCES = {numpy.float16: 2e-2, numpy.float32: 1e-5, numpy.float64: 1e-12}
OPTIONS = [
    {'stride': stride, 'pad': pad, 'dilate': dilate, 'groups': groups,
     'pad_value': pad_value}
    for stride, pad, dilate, groups in (
        (1, 0, 1, 1), (2, 1, 1, 1), (1, (2, 1), 2, 2), ((2, 1), 2, 1, 2))
    for pad_value in (0, 1)]


def random(*shape, dtype=numpy.float64):
    return numpy.random.uniform(-1, 1, shape).astype(dtype)


def sign(W):
    return numpy.where(W < 0, -1., 1.)


def scaled_sign(W):
    alpha = abs(W.astype('d')).reshape(len(W), -1).mean(axis=1)
    return sign(W) * alpha.reshape(-1, 1, 1, 1)


EXPECTED = {binarize: sign, scaled_binarize: scaled_sign}


def pair(x):
    return x if isinstance(x, tuple) else (x, x)


def by_loop(x, V, b, stride, pad, dilate, groups, pad_value):
    """Convolution of x with the weights V, one output at a time."""
    (sy, sx), (ph, pw), (dy, dx) = pair(stride), pair(pad), pair(dilate)
    batch, channels, h, w = x.shape
    filters, per_group, kh, kw = V.shape
    h_out = (h + 2 * ph - dy * (kh - 1) - 1) // sy + 1
    w_out = (w + 2 * pw - dx * (kw - 1) - 1) // sx + 1
    y = numpy.zeros((batch, filters, h_out, w_out))
    for f, i, j in itertools.product(
            range(filters), range(h_out), range(w_out)):
        first = f // (filters // groups) * per_group
        total = numpy.zeros(batch)
        for c, k, m in itertools.product(
                range(per_group), range(kh), range(kw)):
            row, column = i * sy + k * dy - ph, j * sx + m * dx - pw
            inside = 0 <= row < h and 0 <= column < w
            operand = (x[:, first + c, row, column].astype('d') if inside
                       else pad_value)
            total += operand * V[f, c, k, m]
        y[:, f, i, j] = total + (0 if b is None else b[f])
    return y


def test_against_loop():
    """Floats and signs, which go another way; odd, even, not square."""
    n = 0
    for stride, pad, pad_value, dilate, groups in itertools.product(
            (1, (1, 2)), (0, 1, (0, 2)), (0, 1), (1, (2, 1)), (1, 2)):
        binarizer = BINARIZERS[n % 2]
        for (size, ksize, nobias), of_signs in itertools.product(
                (((7, 5), (3, 2), False), ((5, 6), (1, 3), True)),
                (False, True)):
            x, W = random(2, 4, *size), random(2, 4 // groups, *ksize)
            x = sign(x) if of_signs else x
            W[0, 0, 0, 0] = 0
            b = None if nobias else random(2)
            y = binary_convolution_2d(
                x, W, b, stride, pad, dilate, groups, pad_value, binarizer)
            expected = by_loop(x, EXPECTED[binarizer](W), b, stride, pad,
                               dilate, groups, pad_value)
            numpy.testing.assert_allclose(
                y.array, expected, rtol=1e-12, atol=1e-12)
        n += 1


def test_by_hand():
    for p in 0, 1:
        x = chainer.Variable(numpy.array([[[[1., 2.], [3., 4.]]]]))
        W = chainer.Variable(numpy.array([[[[-3., 0.]]]]))
        b = chainer.Variable(numpy.array([10.]))
        y = binary_convolution_2d(x, W, b, pad=(0, 1), pad_value=p)
        numpy.testing.assert_array_equal(
            y.array, [[[[11 - p, 11, 8 + p], [13 - p, 11, 6 + p]]]])
        y.grad = numpy.array([[[[1., 2., 3.], [4., 5., 6.]]]])
        y.backward()
        numpy.testing.assert_array_equal(x.grad, [[[[-1, -1], [-1, -1]]]])
        numpy.testing.assert_array_equal(
            W.grad, [[[[2 + 6 + 15 + 24 + 5 * p, 1 + 4 + 12 + 20 + 9 * p]]]])
        numpy.testing.assert_array_equal(b.grad, [21])


def test_dtypes():
    options = {'stride': (2, 1), 'pad': (1, 2), 'dilate': 1, 'groups': 2}
    for dtype, binarizer, pad_value in itertools.product(
            DTYPES, BINARIZERS, (0, 1)):
        arrays = [random(*shape, dtype=dtype)
                  for shape in ((2, 4, 7, 5), (6, 2, 3, 2), (6,))]
        gy = random(2, 6, 4, 8, dtype=dtype)
        results = []
        for kind in dtype, numpy.float64:
            v = [chainer.Variable(a.astype(kind)) for a in arrays]
            y = binary_convolution_2d(
                *v, **options, pad_value=pad_value, binarize=binarizer)
            y.grad = gy.astype(kind)
            y.backward()
            results.append([y.array, *(a.grad for a in v)])
        for actual, expected in zip(*results, strict=True):
            assert actual.dtype == dtype
            # Up to 40 terms here, so that cancellation costs more
            numpy.testing.assert_allclose(
                actual, expected, rtol=TOLERANCES[dtype],
                atol=8 * TOLERANCES[dtype])


def test_signs_are_convolved_by_popcount(monkeypatch):
    """The same bits as by the BLAS, and the same gradients."""
    pack, results = sign_images.pack, []
    monkeypatch.setattr(
        sign_images, 'pack',
        lambda *args: results.append(pack(*args)) or results[-1])
    for options in ({}, {'pad': 1}, {'pad': (2, 0), 'stride': (1, 2)},
                    {'pad': 1, 'pad_value': 1}, {'dilate': 2}):
        for dtype, binarizer, nobias in itertools.product(
                (numpy.float32, numpy.float64), BINARIZERS, (False, True)):
            signs = sign(random(3, 4, 6, 7)).astype(dtype)
            W = random(6, 4, 3, 3, dtype=dtype)
            b = None if nobias else random(6, dtype=dtype)
            dropped = 2 * signs * (random(*signs.shape) > 0)
            for x in signs, dropped.astype(dtype):
                found = []
                for function in binary_convolution_2d, by_chainer:
                    v, latent = chainer.Variable(x), chainer.Variable(W)
                    y = function(v, latent, b, **options, binarize=binarizer)
                    y.grad = numpy.arange(y.size, dtype=dtype).reshape(
                        y.shape) / y.size
                    y.backward()
                    found.append((y.array, v.grad, latent.grad))
                # A padding of +1 is no value of what dropout leaves.
                is_fast = not (options.get('pad_value') and x is not signs)
                assert len(results) == 1
                assert (results.pop() is not None) == is_fast
                atol = 1e-4 if dtype == numpy.float32 else 1e-10
                for one, other in zip(*found, strict=True):
                    assert one.dtype == dtype
                    numpy.testing.assert_allclose(
                        one, other, rtol=1e-4, atol=atol)


def by_chainer(x, W, b, binarize, pad=0, pad_value=0, **options):
    pad = pad if isinstance(pad, tuple) else (pad, pad)
    x = F.pad(x, ((0, 0), (0, 0), *((p, p) for p in pad)), 'constant',
              constant_values=pad_value)
    return F.convolution_2d(x, binarize(W), b, **options)


def test_almost_signs_are_floats():
    W = random(3, 2, 2, 2)
    for value in 0, .5, -1.5, numpy.nextafter(1., 2):
        x = sign(random(2, 2, 4, 5))
        x[-1, -1, -1, -1] = value
        numpy.testing.assert_allclose(
            binary_convolution_2d(x, W).array,
            by_loop(x, sign(W), None, 1, 0, 1, 1, 0), atol=1e-12)
    x[...] = numpy.nan
    assert numpy.isnan(binary_convolution_2d(x, W).array).all()


def test_gradients_of_input_and_bias():
    for options, binarizer, nobias in itertools.product(
            OPTIONS, BINARIZERS, (True, False)):
        W = random(4, 4 // options['groups'], 2, 3)
        args = (random(2, 4, 5, 6),) if nobias else (
            random(2, 4, 5, 6), random(4))

        def function(x, b=None, W=W, options=options, binarizer=binarizer):
            return binary_convolution_2d(
                x, W, b, **options, binarize=binarizer)

        gradient_check.check_backward(
            function, args, random(*function(*args).shape),
            dtype=numpy.float64, rtol=1e-6, atol=1e-8)


def reference(x, V, b, stride, pad, dilate, groups, pad_value):
    if pad_value:
        (ph, pw), pad = pair(pad), 0
        x = numpy.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)),
                      constant_values=pad_value)
    return F.convolution_2d(
        x, V, b, stride, pad, dilate=dilate, groups=groups)


def test_weight_gradients():
    """Of the binary weight, and through the binarizer to the latent one."""
    for options, of_signs in itertools.product(OPTIONS, (False, True)):
        x, b = random(2, 4, 5, 6), random(4)
        x = sign(x) if of_signs else x
        # Two thirds of the latent weights are outside [-1, 1].
        W = 3 * random(4, 4 // options['groups'], 2, 3)
        for binarizer in BINARIZERS:
            latent = chainer.Variable(W)
            effective = chainer.Variable(EXPECTED[binarizer](W))
            y = binary_convolution_2d(
                x, latent, b, **options, binarize=binarizer)
            expected = reference(x, effective, b, **options)
            numpy.testing.assert_allclose(
                y.array, expected.array, rtol=1e-12, atol=1e-12)
            y.grad = expected.grad = random(*y.shape)
            y.backward()
            expected.backward()
            g, s, n = effective.grad, sign(W), W[0].size
            if binarizer is scaled_binarize:
                g = (s / n * (g * s).sum(axis=(1, 2, 3), keepdims=True)
                     + g * abs(scaled_sign(W)) * (abs(W) <= 1))
            numpy.testing.assert_allclose(
                latent.grad, g, rtol=1e-10, atol=1e-12)


def test_double_backward():
    def second_order(function, W):
        x, W, gy = map(chainer.Variable, (arrays[0], W, arrays[1]))
        # Nothing else holds x * 1, which the second gradient needs.
        first = chainer.grad([function(x * 1, W, pad=1)], [x, W], [gy],
                             enable_double_backprop=True)
        total = sum(F.sum(g * g) for g in first)
        return [g.array for g in chainer.grad([total], [x, W, gy])]

    for x in random(2, 2, 4, 5), sign(random(2, 2, 4, 5)):
        arrays = x, random(2, 3, 4, 5)
        W = random(3, 2, 3, 3)
        actual = second_order(binary_convolution_2d, W)
        expected = second_order(F.convolution_2d, sign(W))
        for a, e in zip(actual, expected, strict=True):
            numpy.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-10)


def test_signs_are_kept_in_bits():
    x = sign(random(2, 4, 9, 9)).astype('f')
    W = chainer.Variable(random(3, 4, 3, 3, dtype='f'))
    y = binary_convolution_2d(x, W, pad=1)
    array = weakref.ref(x)
    del x
    assert array() is None
    y.grad = random(*y.shape, dtype='f')
    y.backward()
    assert W.grad.any()


def test_wrong_pad_value():
    # Without padding too: a packed net would state it wrongly.
    for pad_value, pad in itertools.product((-1, 2, .5, None, '1'), (0, 1)):
        with pytest.raises(ValueError, match='pad_value must be 0 or 1'):
            binary_convolution_2d(
                random(1, 1, 3, 3), random(1, 1, 3, 3), pad=pad,
                pad_value=pad_value)


@pytest.mark.parametrize('shapes,dtypes', [
    (((2, 4, 5, 5), (3, 4, 3, 3)), 'if'),
    (((2, 4, 5, 5), (3, 4, 3, 3)), 'fi'),
    (((2, 4, 5, 5), (3, 4, 3, 3)), 'fd'),
    (((2, 4, 5, 5), (3, 5, 3, 3)), 'ff'),
    (((2, 4, 5), (3, 4, 3, 3)), 'ff'),
    (((2, 4, 5, 5), (3, 4, 3)), 'ff'),
    (((2, 4, 5, 5), (3, 4)), 'ff'),
    (((2, 4, 5, 5), (3, 4, 3, 3), (4,)), 'fff'),
    (((2, 4, 5, 5), (3, 4, 3, 3), (1, 3)), 'fff'),
    (((2, 4, 5, 5), (3, 4, 3, 3), (3,)), 'ffi'),
])
def test_wrong_arguments(shapes, dtypes):
    args = [numpy.ones(shape, dtype)
            for shape, dtype in zip(shapes, dtypes, strict=True)]
    for binarizer in BINARIZERS:
        with pytest.raises(type_check.InvalidType):
            binary_convolution_2d(*args, binarize=binarizer)


def test_filter_larger_than_the_image():
    for x in random(1, 2, 2, 5), numpy.ones((1, 2, 2, 5)):
        with pytest.raises((AssertionError, RuntimeError),
                           match='Height in the output'):
            binary_convolution_2d(x, random(3, 2, 3, 3))


def test_empty_batch():
    for dtype, pad_value in itertools.product(DTYPES, (0, 1)):
        y = binary_convolution_2d(
            numpy.zeros((0, 2, 5, 4), dtype),
            random(3, 2, 3, 3, dtype=dtype), pad=1, pad_value=pad_value)
        assert y.shape == (0, 3, 5, 4)
        assert y.dtype == dtype
