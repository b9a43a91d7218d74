"""The elementwise kernels, against their definition and by hand."""
import fractions
import itertools
import warnings

import numba
import numpy
import pytest

from bnn.kernels import elementwise
from bnn.kernels import reference

DTYPES = numpy.float16, numpy.float32, numpy.float64
LEVELS = [(2 ** bits - 1, 0., 1.) for bits in range(2, 9)] + [
    (2 ** (bits - 1), -1., 1.) for bits in range(2, 9)]


def edges(dtype, subnormals=True):
    """Zeros, subnormals, 1 and its neighbours, huge and not finite ones."""
    info, one = numpy.finfo(dtype), dtype(1)
    values = [0., info.tiny, info.eps, .25, .5,
              numpy.nextafter(one, dtype(0)), one,
              numpy.nextafter(one, dtype(2)), 2., info.max, numpy.inf,
              numpy.nan]
    if subnormals:
        values += [info.smallest_subnormal, info.tiny / 2]
    values = numpy.array(values, dtype)
    return numpy.concatenate([values, -values])


def inputs(dtype, subnormals=True):
    """Arrays of many shapes and layouts, of one thread and of several."""
    def draw(*shape):
        return numpy.asarray(numpy.random.uniform(-2, 2, shape), dtype)

    x = draw(8, 9, 10)
    return [*(draw(*shape) for shape in (
        (), (0,), (1,), (7,), (3, 0, 2), (13, 17), (300, 301))),
        x[::2], x[:, 1:8:3], x[::-1], x.transpose(2, 0, 1), x[..., 3],
        numpy.asfortranarray(x), x[1:1], edges(dtype, subnormals)]


def random_like(x):
    return numpy.asarray(numpy.random.uniform(-3, 3, x.shape), x.dtype)


def assert_same_bits(actual, expected, zeros=True):
    assert isinstance(actual, numpy.ndarray)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    numpy.testing.assert_array_equal(actual, expected)
    if zeros:  # assert_array_equal takes -0.0 for 0.0.
        is_number = ~numpy.isnan(expected)
        assert (numpy.signbit(actual) == numpy.signbit(expected))[
            is_number].all()


@pytest.mark.filterwarnings('ignore::RuntimeWarning')  # of the reference
def test_as_the_reference(elementwise_device):
    device = elementwise_device
    for dtype in device.dtypes:
        for x in inputs(dtype, device.has_subnormals):
            before, gy = x.copy(), random_like(x)
            assert_same_bits(device.call(elementwise.binarize, x),
                             reference.binarize(x))
            for low, high in ((-1., 1.), (0., .5), (0., 0.)):
                assert_same_bits(
                    device.call(elementwise.ste_gradient, x, gy, low, high),
                    reference.ste_gradient(x, gy, low, high))
            assert_same_bits(device.call(elementwise.approx_sign_gradient,
                                         x, gy),
                             reference.approx_sign_gradient(x, gy))
            for levels in ((3, 0., 1.), (128, -1., 1.)):
                # numpy.clip differs in the sign of 0.
                assert_same_bits(
                    device.call(elementwise.quantize, x, *levels),
                    reference.quantize(x, *levels), zeros=False)
            numpy.testing.assert_array_equal(x, before)
            for low, high in ((-1., 1.), (-.25, .75), (0., 1.)):
                expected = numpy.array(x)
                reference.clip(expected, low, high)
                there = device.send(x.copy(order='K'))
                assert elementwise.clip(there, low, high) is None
                assert_same_bits(device.fetch(there), expected)


def test_clip_of_a_view(elementwise_device):
    base = numpy.random.uniform(-2, 2, (6, 8)).astype('f')
    expected = base.copy()
    reference.clip(expected[1::2, ::3], -.5, .5)
    there = elementwise_device.send(base)
    if elementwise_device.name == 'stand-in':
        there = elementwise_device.send(base[1::2, ::3])
        elementwise.clip(there, -.5, .5)
        actual = base
    else:
        elementwise.clip(there[1::2, ::3], -.5, .5)
        actual = elementwise_device.fetch(there)
    assert_same_bits(actual, expected)


def test_pairs_of_edges(elementwise_device):
    device = elementwise_device
    for dtype in device.dtypes:
        values = edges(dtype, device.has_subnormals)
        x, gy = numpy.array(
            list(itertools.product(values, values)), dtype).T
        assert_same_bits(device.call(elementwise.ste_gradient, x, gy),
                         reference.ste_gradient(x, gy))


def test_levels(elementwise_device):
    """Midpoints of levels and their neighbours, in exact arithmetic."""
    for dtype in elementwise_device.dtypes:
        for n, low, high in LEVELS:
            halves = numpy.arange(int(low * n), int(high * n)) + .5
            x = numpy.concatenate(
                [halves / n, numpy.arange(low * n, high * n + 1) / n])
            x = x.astype(dtype)
            x = numpy.concatenate([
                x, *(numpy.nextafter(x, dtype(to)) for to in (-9, 9)),
                numpy.array([1.5, -1.5, numpy.inf, -numpy.inf], dtype)])
            expected = [round(fractions.Fraction(float(dtype(float(
                fractions.Fraction(min(max(value, low), high)) * n))))) / n
                for value in x.tolist()]
            numpy.testing.assert_array_equal(
                elementwise_device.call(elementwise.quantize, x, n, low,
                                        high),
                numpy.array(expected).astype(dtype))


@pytest.mark.filterwarnings('ignore::RuntimeWarning')  # of the reference
def test_swish(elementwise_device):
    for dtype in elementwise_device.dtypes:
        eps = numpy.finfo(dtype).eps
        for x in inputs(dtype, elementwise_device.has_subnormals):
            gy = random_like(x)
            for beta in (.5, 1., 5., 10.):
                gx = elementwise_device.call(
                    elementwise.swish_sign_gradient, x, gy, beta)
                assert gx.dtype == dtype and gx.shape == x.shape
                expected = reference.swish_sign_gradient(
                    x.astype(float), gy.astype(float), beta)
                bound = (4 * max(beta, 1) * eps * abs(gy.astype(float))
                         + numpy.finfo(dtype).smallest_subnormal)
                assert (abs(gx - expected) <= bound).all()


@pytest.mark.parametrize('name', [
    'approx_sign_gradient', 'swish_sign_gradient'])
def test_surrogates_of_extremes_do_not_warn(name):
    for dtype in DTYPES:
        big = numpy.finfo(dtype).max
        x = numpy.array([big, -big, numpy.inf, -numpy.inf, numpy.nan], dtype)
        with warnings.catch_warnings(), numpy.errstate(
                all='warn', under='ignore'):
            warnings.simplefilter('error')
            for gy in 0, 1:
                gx = getattr(elementwise, name)(x, numpy.full_like(x, gy))
                numpy.testing.assert_array_equal(gx, 0)


def keys(n):
    return [elementwise.draw_key() for _ in range(n)]


def test_key():
    numpy.random.seed(3)
    first, second = keys(2)
    following = numpy.random.randint(1 << 30)
    numpy.random.seed(3)
    words = numpy.random.randint(0, 1 << 32, 4, numpy.uint32)
    assert [*first, *second] == words.tolist()
    assert numpy.random.randint(1 << 30) == following


def test_random_words_by_hand():
    """In whole numbers of any size, cut to 32 bits."""
    a, b = numpy.uint32(0x9e3779b9), numpy.uint32(0xfffffffe)
    words = reference.random_words((2, 3), (a, b))
    for i, word in enumerate(words.ravel().tolist()):
        s = i
        for key in int(a), int(b):
            s = ((s ^ key) * 747796405 + 2891336453) % 2 ** 32
            s = ((s >> (s >> 28) + 4) ^ s) * 277803737 % 2 ** 32
            s ^= s >> 22
        assert word == s


def chi_square(values, n_values):
    """How far counts are from equal ones, in standard deviations."""
    counts = numpy.bincount(values.ravel(), minlength=n_values)
    expected = values.size / n_values
    found = ((counts - expected) ** 2).sum() / expected
    return (found - n_values + 1) / (2 * n_values - 2) ** .5


def test_random_words_are_uniform_and_independent():
    n = 1 << 18
    found = []
    for key, other in zip(keys(4), keys(4), strict=True):
        words, others = (
            reference.random_words((n,), k).astype(int) for k in (key, other))
        for shift in 0, 8, 16, 24:
            found.append(chi_square(words >> shift & 255, 256))
        # Neighbours in a row and a column, and the same place in two calls
        high = words >> 26
        found += [chi_square(high[lag:] << 6 | high[:-lag], 1 << 12)
                  for lag in (1, 2, 16, 784, 1000, 1024)]
        found.append(chi_square(high << 6 | others >> 26, 1 << 12))
    assert len(found) == 44
    assert max(map(abs, found)) < 4
    assert abs(numpy.mean(found)) < .5


def test_stochastic_binarize(elementwise_device):
    for dtype in elementwise_device.dtypes:
        for x in inputs(dtype, elementwise_device.has_subnormals):
            key, = keys(1)
            assert_same_bits(
                elementwise_device.call(
                    elementwise.stochastic_binarize, x, key),
                reference.stochastic_binarize(x, key))


def test_probabilities(elementwise_device):
    first, second = keys(2)
    for dtype in elementwise_device.dtypes:
        x = numpy.repeat(numpy.array(
            [-1.5, -1, -.5, 0, .5, 1, numpy.nan], dtype), 4000)
        draws = [elementwise_device.call(
            elementwise.stochastic_binarize, x, key)
            for key in (first, second, first)]
        assert (draws[0] == draws[2]).all()
        assert (draws[0] != draws[1]).any()
        assert set(numpy.unique(draws)) == {-1, 1}
        shares = (draws[0].reshape(7, 4000) == 1).mean(axis=1)
        numpy.testing.assert_allclose(
            shares, [0, 0, .25, .5, .75, 1, 0], atol=.03)
        assert shares[0] == shares[1] == shares[6] == 0 and shares[5] == 1


def test_mean_of_the_draws():
    """Each weight's, over many calls, within five standard errors."""
    x = numpy.random.uniform(-1, 1, 500).astype('f')
    n = 2000
    mean = sum(elementwise.stochastic_binarize(x, key).astype('d')
               for key in keys(n)) / n
    assert (abs(mean - x) <= 5 * numpy.sqrt((1 - x * x) / n)).all()


@pytest.mark.filterwarnings('ignore::RuntimeWarning')  # of the reference
def test_dropout():
    for dtype in DTYPES[1:]:
        for x in inputs(dtype):
            for ratio in 0., .2, .5, .999:
                key, = keys(1)
                assert_same_bits(elementwise.dropout(x, ratio, key),
                                 reference.dropout(x, ratio, key))


def test_dropout_by_hand():
    key, = keys(1)
    x = numpy.full((200, 500), 3.)
    for ratio in .2, .5, .9:
        y = elementwise.dropout(x, ratio, key)
        assert set(numpy.unique(y)) == {0, 3 / (1 - ratio)}
        # Five standard errors
        assert abs((y == 0).mean() - ratio) < 5 * numpy.sqrt(
            ratio * (1 - ratio) / x.size)
    assert (elementwise.dropout(x, 0., key) == x).all()
    # All but none are dropped.
    assert (elementwise.dropout(x, 1 - 2. ** -40, key) == 0).all()


def test_draws_do_not_depend_on_threads():
    key, = keys(1)
    x = numpy.random.uniform(-1, 1, (300, 301)).astype('f')
    n = numba.get_num_threads()
    results = []
    try:
        for n_threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
            numba.set_num_threads(n_threads)
            results.append([elementwise.stochastic_binarize(x, key),
                            elementwise.dropout(x, .5, key)])
    finally:
        numba.set_num_threads(n)
    for result in results:
        numpy.testing.assert_array_equal(result, results[0])


def test_by_hand():
    inf, nan = numpy.inf, numpy.nan
    for dtype in DTYPES:
        for module in elementwise, reference:
            x = numpy.array([-2, -1e-7, -0., 0., 1e-7, 5, inf, -inf, nan],
                            dtype)
            assert module.binarize(x).tolist() == [
                -1, -1, 1, 1, 1, 1, 1, -1, -1]
            x = numpy.array([-1.5, -1, 0, 1, 1.5, inf, -inf, nan, 3, 0],
                            dtype)
            gy = numpy.array([1, 2, 3, 4, 5, 6, 7, 8, inf, inf], dtype)
            assert module.ste_gradient(x, gy).tolist() == [
                0, 2, 3, 4, 0, 0, 0, 0, 0, inf]
            assert module.ste_gradient(x, gy, -1.5, 1.5).tolist() == [
                1, 2, 3, 4, 5, 0, 0, 0, 0, inf]
            assert module.approx_sign_gradient(
                numpy.array([-1, -.75, .5, 0, 1.5], dtype),
                numpy.ones(5, dtype)).tolist() == [0, .5, 1, 2, 0]
            x = numpy.array([-3, -1, -.5, .5, 1, 3, inf, -inf, nan], dtype)
            module.clip(x, -1, .75)
            numpy.testing.assert_array_equal(
                x, [-1, -1, -.5, .5, .75, .75, .75, -1, nan])
            # Two bits of DoReFa: boundaries at 1/6, 1/2 and 5/6
            x = numpy.array([-9, -0., .166, .167, .499, .5, .833, .834, 9,
                             nan], dtype)
            numpy.testing.assert_array_equal(
                module.quantize(x, 3, 0., 1.), (numpy.array(
                    [0, 0, 0, 1, 1, 2, 2, 3, 3, nan]) / 3).astype(dtype))
            # Two bits of the linear quantizer: ties at 1/4 and 3/4
            x = numpy.array([.249, .25, .251, .749, .75, .751, inf], dtype)
            for sign in 1, -1:
                numpy.testing.assert_array_equal(
                    module.quantize(sign * x, 2, -1., 1.),
                    sign * numpy.array([0, 0, .5, .5, 1, 1, 1]))
            # SwishSign at 0: its slope is beta
            assert module.swish_sign_gradient(
                numpy.zeros(1, dtype), numpy.ones(1, dtype), 5.).item() == 5


def test_results_are_new_arrays():
    x = numpy.array([[1., -1.]])
    gy = numpy.array([[3., 4.]])
    for y in (elementwise.binarize(x), elementwise.ste_gradient(x, gy),
              elementwise.quantize(x, 3, 0., 1.)):
        assert not numpy.shares_memory(y, x)
        assert not numpy.shares_memory(y, gy)


def test_byte_orders():
    for order in '<>':
        x = numpy.array([-2, -0., .5, 2], order + 'f4')
        for name in 'binarize', 'ste_gradient', 'approx_sign_gradient':
            args = (x,) if name == 'binarize' else (x, x)
            y = getattr(elementwise, name)(*args)
            assert_same_bits(y, getattr(reference, name)(*args))


def test_no_warnings():
    for dtype in DTYPES:
        x = edges(dtype)
        with warnings.catch_warnings(), numpy.errstate(all='warn'):
            warnings.simplefilter('error')
            elementwise.binarize(x)
            elementwise.ste_gradient(x, x[::-1])
            elementwise.clip(x, -1, 1)


def test_wrong_dtype():
    for dtype in (numpy.int8, numpy.int32, bool, numpy.complex64, object):
        x = numpy.ones(3, dtype)
        for name, *args in (
                ('binarize',), ('ste_gradient', x),
                ('approx_sign_gradient', x), ('swish_sign_gradient', x),
                ('stochastic_binarize', (0, 0)), ('quantize', 3, 0., 1.),
                ('clip', -1., 1.)):
            with pytest.raises(TypeError, match='floating point'):
                getattr(elementwise, name)(x, *args)


def test_relu():
    for dtype in DTYPES:
        for x in inputs(dtype):
            before, gy = x.copy(), random_like(x)
            y = elementwise.relu(x)
            assert_same_bits(y, reference.relu(x), zeros=False)
            assert_same_bits(elementwise.relu_gradient(y, gy),
                             reference.relu_gradient(y, gy))
            numpy.testing.assert_array_equal(x, before)


def test_relu_by_hand():
    inf, nan = numpy.inf, numpy.nan
    for dtype in DTYPES:
        for module in elementwise, reference:
            x = numpy.array([-2, -0., 0., 3, inf, -inf, nan, -1, -1, 1],
                            dtype)
            y = module.relu(x)
            numpy.testing.assert_array_equal(
                y, [0, 0, 0, 3, inf, 0, nan, 0, 0, 1])
            gy = numpy.array([1, 2, 3, 4, 5, 6, 7, inf, nan, inf], dtype)
            with numpy.errstate(invalid='ignore'):
                gx = module.relu_gradient(y, gy)
            numpy.testing.assert_array_equal(
                gx, [0, 0, 0, 4, 5, 0, 0, nan, nan, inf])
