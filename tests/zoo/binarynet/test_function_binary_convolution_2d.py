"""The convolution against a loop, finite differences and F.convolution_2d."""
import itertools
import unittest

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer import gradient_check
from chainer import testing
from chainer.utils import type_check

import bst
import function_binary_linear
from zoo.binarynet import function_binarize
from zoo.binarynet import function_binary_convolution_2d

binary_convolution_2d = function_binary_convolution_2d.binary_convolution_2d
DTYPES = (numpy.float16, numpy.float32, numpy.float64)
# Sums of 12 products of numbers up to 1: float16 has 11 bits, float32 24.
TOLERANCES = {
    numpy.float16: {'rtol': 1e-2, 'atol': 2e-2},
    numpy.float32: {'rtol': 1e-5, 'atol': 1e-5},
    numpy.float64: {'rtol': 1e-12, 'atol': 1e-12},
}


def random(*shape, dtype=numpy.float64):
    return numpy.random.uniform(-1, 1, shape).astype(dtype)


def sign(W):
    return numpy.where(W < 0, -1., 1.)


def scaled_sign(W):
    alpha = abs(W.astype('d')).reshape(len(W), -1).mean(axis=1)
    return sign(W) * alpha.reshape(-1, 1, 1, 1)


def pair(x):
    return x if isinstance(x, tuple) else (x, x)


def to_cpu(x):
    return chainer.get_device('@numpy').send(x)


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


@pytest.mark.parametrize('scaled', [False, True])
@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('dilate', [1, 2, (2, 1)])
@pytest.mark.parametrize('pad_value', [0, 1])
@pytest.mark.parametrize('pad', [0, 1, 2, (1, 0), (0, 2)])
@pytest.mark.parametrize('stride', [1, 2, (1, 2)])
def test_against_loop(stride, pad, pad_value, dilate, groups, scaled):
    # Odd, even and non-square; the bias goes with one of the two sizes.
    for size, ksize, nobias in (((7, 5), (3, 2), False),
                                ((5, 6), (1, 3), True)):
        x, W = random(2, 4, *size), random(2, 4 // groups, *ksize)
        W[0, 0, 0, 0] = 0
        b = None if nobias else random(2)
        y = binary_convolution_2d(
            x, W, b, stride, pad, dilate, groups, pad_value, scaled)
        expected = by_loop(x, scaled_sign(W) if scaled else sign(W), b,
                           stride, pad, dilate, groups, pad_value)
        numpy.testing.assert_allclose(
            y.array, expected, rtol=1e-12, atol=1e-12)


@testing.parameterize(*testing.product({
    'dtype': DTYPES, 'pad_value': [0, 1], 'scaled': [False, True]}))
@testing.inject_backend_tests(
    ['test_forward', 'test_backward'], [{}, {'use_cuda': True}])
class TestDtypes(unittest.TestCase):

    def setUp(self):
        self.arrays = [random(*shape, dtype=self.dtype)
                       for shape in ((2, 4, 7, 5), (6, 2, 3, 2), (6,))]
        self.options = {'stride': (2, 1), 'pad': (1, 2), 'dilate': 1,
                        'groups': 2, 'pad_value': self.pad_value}

    def apply(self, backend_config):
        variables = [chainer.Variable(backend_config.get_array(a))
                     for a in self.arrays]
        return variables, binary_convolution_2d(
            *variables, scaled=self.scaled, **self.options)

    def test_forward(self, backend_config):
        _, y = self.apply(backend_config)
        x, W, b = self.arrays
        expected = by_loop(
            x, scaled_sign(W) if self.scaled else sign(W), b, **self.options)
        assert y.dtype == self.dtype
        numpy.testing.assert_allclose(
            to_cpu(y.array), expected, **TOLERANCES[self.dtype])

    def test_backward(self, backend_config):
        variables, y = self.apply(backend_config)
        gy = random(*y.shape, dtype=self.dtype)
        y.grad = backend_config.get_array(gy)
        y.backward()
        double = [chainer.Variable(a.astype('d')) for a in self.arrays]
        y = binary_convolution_2d(
            *double, scaled=self.scaled, **self.options)
        y.grad = gy.astype('d')
        y.backward()
        for v, d in zip(variables, double, strict=True):
            assert v.grad.dtype == self.dtype
            # Up to 40 terms here, so that cancellation costs more.
            tolerance = dict(TOLERANCES[self.dtype])
            tolerance['atol'] *= 4
            numpy.testing.assert_allclose(
                to_cpu(v.grad), d.grad, **tolerance)


@pytest.mark.parametrize('pad', [1, 2, (0, 2)])
@pytest.mark.parametrize('nobias', [True, False])
def test_padding_with_one_leaves_signs_only(pad, nobias, monkeypatch):
    seen = []
    convolution = F.convolution_2d

    def spy(x, W, *args, **kwargs):
        seen.append((chainer.as_variable(x).array, W.array, args, kwargs))
        return convolution(x, W, *args, **kwargs)

    monkeypatch.setattr(F, 'convolution_2d', spy)
    x, W = sign(random(2, 4, 5, 7)), random(3, 4, 3, 3)
    y = binary_convolution_2d(
        x, W, None if nobias else random(3), pad=pad, pad_value=1)
    (operand, weight, args, kwargs), = seen
    ph, pw = pair(pad)
    assert operand.shape == (2, 4, 5 + 2 * ph, 7 + 2 * pw)
    assert set(operand.ravel()) == set(weight.ravel()) == {-1, 1}
    assert kwargs.get('pad', args[2] if len(args) > 2 else 0) == 0
    if nobias:
        # n = 36 signs add up to an even number, at every border too.
        assert set(y.array.ravel() % 2) == {0}


def test_padding_with_zero_is_a_third_value():
    x, W = numpy.ones((1, 1, 1, 1)), numpy.ones((1, 1, 3, 3))
    assert binary_convolution_2d(x, W, pad=1).array.item() == 1
    assert binary_convolution_2d(x, W, pad=1, pad_value=1).array.item() == 9


@pytest.mark.parametrize('pad_value', [0, 1])
def test_by_hand(pad_value):
    x = chainer.Variable(numpy.array([[[[1., 2.], [3., 4.]]]]))
    W = chainer.Variable(numpy.array([[[[-3., 0.]]]]))
    b = chainer.Variable(numpy.array([10.]))
    y = binary_convolution_2d(x, W, b, pad=(0, 1), pad_value=pad_value)
    p = pad_value
    numpy.testing.assert_array_equal(
        y.array, [[[[11 - p, 11, 8 + p], [13 - p, 11, 6 + p]]]])
    y.grad = numpy.array([[[[1., 2., 3.], [4., 5., 6.]]]])
    y.backward()
    numpy.testing.assert_array_equal(x.grad, [[[[-1, -1], [-1, -1]]]])
    numpy.testing.assert_array_equal(
        W.grad, [[[[2 + 6 + 15 + 24 + 5 * p, 1 + 4 + 12 + 20 + 9 * p]]]])
    numpy.testing.assert_array_equal(b.grad, [21])


OPTIONS = [
    {'stride': stride, 'pad': pad, 'dilate': dilate, 'groups': groups,
     'pad_value': pad_value}
    for stride, pad, dilate, groups in (
        (1, 0, 1, 1), (2, 1, 1, 1), (1, (2, 1), 2, 2), ((2, 1), 2, 1, 2))
    for pad_value in (0, 1)]


@pytest.mark.parametrize('scaled', [False, True])
@pytest.mark.parametrize('nobias', [True, False])
@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_gradients_of_input_and_bias(options, nobias, scaled):
    W = random(4, 4 // options['groups'], 2, 3)
    args = (random(2, 4, 5, 6),)
    if not nobias:
        args += random(4),

    def function(x, b=None):
        return binary_convolution_2d(x, W, b, scaled=scaled, **options)

    gy = random(*function(*args).shape)
    gradient_check.check_backward(
        function, args, gy, dtype=numpy.float64, rtol=1e-6, atol=1e-8)


def reference(x, V, b, stride, pad, dilate, groups, pad_value):
    if pad_value:
        (ph, pw), pad = pair(pad), 0
        x = numpy.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)),
                      constant_values=pad_value)
    return F.convolution_2d(
        x, V, b, stride, pad, dilate=dilate, groups=groups)


@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_weight_gradient_is_that_of_the_binary_weight(options):
    x, b = random(2, 4, 5, 6), random(4)
    latent = chainer.Variable(
        3 * random(4, 4 // options['groups'], 2, 3))
    binary = chainer.Variable(sign(latent.array))
    y = binary_convolution_2d(x, latent, b, **options)
    expected = reference(x, binary, b, **options)
    numpy.testing.assert_array_equal(y.array, expected.array)
    y.grad = expected.grad = random(*y.shape)
    y.backward()
    expected.backward()
    # No mask: two thirds of the latent weights are outside [-1, 1].
    numpy.testing.assert_allclose(
        latent.grad, binary.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_scaled_weight_gradient(options):
    x = random(2, 4, 5, 6)
    latent = chainer.Variable(
        2 * random(4, 4 // options['groups'], 2, 3))
    W = latent.array
    effective = chainer.Variable(scaled_sign(W))
    y = binary_convolution_2d(x, latent, scaled=True, **options)
    expected = reference(x, effective, None, **options)
    y.grad = expected.grad = random(*y.shape)
    y.backward()
    expected.backward()
    g, s, n = effective.grad, sign(W), W[0].size
    numpy.testing.assert_allclose(
        latent.grad,
        s / n * (g * s).sum(axis=(1, 2, 3), keepdims=True)
        + g * abs(scaled_sign(W)) * (abs(W) <= 1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('scaled', [False, True])
@pytest.mark.parametrize('nobias', [True, False])
def test_linear_is_the_1x1_convolution(scaled, nobias):
    results = []
    arrays = [random(3, 6), 2 * random(5, 6)] + [random(5)] * (not nobias)
    gy = random(3, 5)
    for linear in True, False:
        v = [chainer.Variable(a) for a in arrays]
        if linear:
            y = function_binary_linear.binary_linear(*v, scaled=scaled)
        else:
            x, W = (F.reshape(a, a.shape + (1, 1)) for a in v[:2])
            y = binary_convolution_2d(x, W, *v[2:], scaled=scaled)
            y = F.reshape(y, (3, 5))
        y.grad = gy
        # Reshapes are between, so the gradient of y is what starts it.
        y.backward()
        results.append([y.array] + [a.grad for a in v])
    for a, b in zip(*results, strict=True):
        numpy.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('pad_value', [-1, 2, .5, None, '1'])
def test_wrong_pad_value(pad_value):
    # Without padding too: it would be stated wrongly for packing.
    for pad in 0, 1:
        with pytest.raises(ValueError, match='pad_value must be 0 or 1'):
            binary_convolution_2d(
                random(1, 1, 3, 3), random(1, 1, 3, 3), pad=pad,
                pad_value=pad_value)


@pytest.mark.parametrize('train', [True, False])
def test_scaled_and_stochastic(train):
    with chainer.using_config('train', train):
        with pytest.raises(ValueError, match='cannot be stochastic'):
            binary_convolution_2d(
                random(1, 1, 3, 3), random(1, 1, 3, 3), scaled=True,
                stochastic=True)
        with pytest.raises(ValueError, match='cannot be stochastic'):
            function_binary_linear.binary_linear(
                random(1, 3), random(1, 3), scaled=True, stochastic=True)


@pytest.mark.parametrize('shapes,dtypes', [
    (((2, 4, 5, 5), (3, 4, 3, 3)), 'if'),
    (((2, 4, 5, 5), (3, 4, 3, 3)), 'fi'),
    (((2, 4, 5, 5), (3, 5, 3, 3)), 'ff'),
    (((2, 4, 5), (3, 4, 3, 3)), 'ff'),
    (((2, 4, 5, 5), (3, 4, 3)), 'ff'),
    (((2, 4, 5, 5), (3, 4)), 'ff'),
    (((2, 4, 5, 5), (3, 4, 3, 3), (4,)), 'fff'),
    (((2, 4, 5, 5), (3, 4, 3, 3), (1, 3)), 'fff'),
    (((2, 4, 5, 5), (3, 4, 3, 3), (3,)), 'ffi'),
])
@pytest.mark.parametrize('scaled', [False, True])
def test_wrong_arguments(shapes, dtypes, scaled):
    args = [numpy.zeros(shape, dtype)
            for shape, dtype in zip(shapes, dtypes, strict=True)]
    with pytest.raises(type_check.InvalidType):
        binary_convolution_2d(*args, scaled=scaled)


@pytest.mark.parametrize('pad_value', [0, 1])
@pytest.mark.parametrize('scaled', [False, True])
def test_double_backward_is_linear_in_gy(pad_value, scaled):
    x, W = chainer.Variable(random(2, 2, 4, 5)), random(3, 2, 3, 3)
    latent = chainer.Variable(W)
    y = binary_convolution_2d(
        x, latent, pad=1, pad_value=pad_value, scaled=scaled)
    gy = chainer.Variable(random(*y.shape))
    for wrt in x, latent:
        first, = chainer.grad([y], [wrt], [gy], enable_double_backprop=True)
        v = random(*first.shape)
        ggy, = chainer.grad([first], [gy], [chainer.Variable(v)])
        numpy.testing.assert_allclose(
            (ggy.array * gy.array).sum(), (first.array * v).sum(),
            rtol=1e-9, atol=1e-12)


def test_double_backward_through_input_and_weight():
    def second_order(function, W):
        x, W, gy = map(chainer.Variable, (arrays[0], W, arrays[1]))
        first = chainer.grad([function(x, W, pad=1)], [x, W], [gy],
                             enable_double_backprop=True)
        total = sum(F.sum(g * g) for g in first)
        return [g.array for g in chainer.grad([total], [x, W, gy])]

    arrays = random(2, 2, 4, 5), random(2, 3, 4, 5)
    W = random(3, 2, 3, 3)
    actual = second_order(binary_convolution_2d, W)
    expected = second_order(F.convolution_2d, sign(W))
    for a, e in zip(actual, expected, strict=True):
        numpy.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-10)


def test_stochastic_only_in_training():
    x, W = numpy.ones((1, 1, 1, 1)), numpy.zeros((400, 1, 1, 1))
    with chainer.using_config('train', False):
        y = binary_convolution_2d(x, W, stochastic=True).array
    assert (y == 1).all()
    with chainer.using_config('train', True):
        assert (binary_convolution_2d(x, W).array == 1).all()
        y = binary_convolution_2d(x, W, stochastic=True).array
    assert set(y.ravel()) == {-1, 1}
    assert abs(y.mean()) < 5 / 20  # five standard deviations


@pytest.mark.parametrize('pad_value', [0, 1])
@pytest.mark.parametrize('dtype', DTYPES)
def test_empty_batch(pad_value, dtype):
    y = binary_convolution_2d(
        numpy.zeros((0, 2, 5, 4), dtype), random(3, 2, 3, 3, dtype=dtype),
        pad=1, pad_value=pad_value)
    assert y.shape == (0, 3, 5, 4)
    assert y.dtype == dtype


@pytest.mark.parametrize('pad_value', [0, 1])
@pytest.mark.parametrize('scaled', [False, True])
def test_inputs_stay(pad_value, scaled):
    arrays = random(2, 2, 4, 5), random(3, 2, 3, 3), random(3)
    copies = [a.copy() for a in arrays]
    v = [chainer.Variable(a) for a in arrays]
    F.sum(binary_convolution_2d(
        *v, pad=1, pad_value=pad_value, scaled=scaled) ** 2).backward()
    for a, c in zip(arrays, copies, strict=True):
        numpy.testing.assert_array_equal(a, c)


def test_composition():
    # The binarizer is a piece of its own: no second way of binarizing.
    x, W = random(2, 2, 4, 5), random(3, 2, 3, 3)
    numpy.testing.assert_array_equal(
        binary_convolution_2d(x, W, scaled=True).array,
        F.convolution_2d(x, function_binarize.scaled_binarize(W)).array)


@pytest.mark.parametrize('options', [
    {}, {'pad': 1}, {'pad': (2, 0), 'stride': (1, 2)},
    {'pad': 1, 'pad_value': 1}, {'dilate': 2}, {'groups': 2}])
@pytest.mark.parametrize('scaled', [False, True, 'ste'])
@pytest.mark.parametrize('nobias', [False, True])
def test_signs_by_popcount_or_by_blas(scaled, nobias, options):
    signs = bst.bst(random(3, 4, 6, 7)).array
    W = random(6, 4 // options.get('groups', 1), 3, 3)
    b = None if nobias else random(6)
    results = []
    for x in chainer.Variable(signs), bst.mark(chainer.Variable(signs)):
        latent = chainer.Variable(W)
        y = binary_convolution_2d(x, latent, b, scaled=scaled, **options)
        y.grad = numpy.arange(y.size, dtype=y.dtype).reshape(y.shape) / y.size
        y.backward()
        results.append((y.array, x.grad, latent.grad))
    for blas, popcount in zip(*results, strict=True):
        assert popcount.dtype == blas.dtype
        if scaled:
            numpy.testing.assert_allclose(
                popcount, blas, rtol=1e-4, atol=1e-4)
        else:
            assert popcount.tobytes() == blas.tobytes()


testing.run_module(__name__, __file__)
