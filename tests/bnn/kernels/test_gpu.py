"""The kernels of CuPy arrays, run on the CPU, against the reference."""
import itertools
import sys

import numpy
import pytest

from bnn import kernels
from bnn.kernels import reference

DTYPES = numpy.float16, numpy.float32, numpy.float64
WIDTHS = 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 1000


def special(dtype):
    """Zeros, denormals, 1 and its neighbours, huge and not finite ones."""
    info = numpy.finfo(dtype)
    one = dtype(1)
    values = numpy.array([
        0., info.smallest_subnormal, info.tiny, info.tiny / 2, info.eps, .25,
        .5, numpy.nextafter(one, dtype(0)), one,
        numpy.nextafter(one, dtype(2)), 2., info.max, numpy.inf, numpy.nan],
        dtype)
    return numpy.concatenate([values, -values])


def normal(*shape, dtype=numpy.float32):
    return numpy.asarray(numpy.random.standard_normal(shape), dtype)


def inputs(dtype):
    x = normal(8, 9, 10, dtype=dtype)
    return [normal(*shape, dtype=dtype) for shape in (
        (), (0,), (1,), (3, 0, 2), (13, 17))] + [
        x[::2, 1:], x.T, x[..., 3], special(dtype)]


def assert_same(actual, expected):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    numpy.testing.assert_array_equal(actual, expected)
    number = ~numpy.isnan(expected)
    assert (numpy.signbit(actual) == numpy.signbit(expected))[number].all()


@pytest.mark.filterwarnings('ignore::RuntimeWarning')  # of the reference
@pytest.mark.parametrize('dtype', DTYPES)
class TestElementwise(object):

    def test_binarize(self, dtype, gpu):
        for x in inputs(dtype):
            assert_same(gpu.call(kernels.binarize, x), reference.binarize(x))

    def test_gradients(self, dtype, gpu):
        pairs = numpy.array(list(itertools.product(
            special(dtype), special(dtype))), dtype).T
        for x, gy in [*((x, normal(*x.shape, dtype=dtype))
                        for x in inputs(dtype)), pairs]:
            for low, high in ((-1., 1.), (0., .5)):
                assert_same(gpu.call(kernels.ste_gradient, x, gy, low, high),
                            reference.ste_gradient(x, gy, low, high))
            # The product of an infinity and 0 is NaN in both.
            assert_same(gpu.call(kernels.approx_sign_gradient, x, gy),
                        reference.approx_sign_gradient(x, gy))

    def test_swish_sign_gradient(self, dtype, gpu):
        x = normal(500, dtype=dtype)
        gy = normal(500, dtype=dtype)
        numpy.testing.assert_allclose(
            gpu.call(kernels.swish_sign_gradient, x, gy),
            reference.swish_sign_gradient(x, gy), atol=1e-9,
            rtol=4 * numpy.finfo(dtype).eps)
        zero = gpu.call(kernels.swish_sign_gradient, numpy.array(
            [numpy.nan, numpy.inf, -numpy.inf, 100], dtype),
            numpy.ones(4, dtype))
        assert (zero == 0).all()

    def test_quantize(self, dtype, gpu):
        for x in inputs(dtype):
            for args in ((7, 0., 1.), (4, -1., 1.), (255, 0., 1.)):
                numpy.testing.assert_array_equal(
                    gpu.call(kernels.quantize, x, *args),
                    reference.quantize(x, *args))

    def test_clip(self, dtype, gpu):
        for x in inputs(dtype):
            expected = numpy.array(x)
            reference.clip(expected, -.25, .75)
            there = gpu.send(x)
            kernels.clip(there, -.25, .75)
            assert_same(gpu.fetch(there), expected)

    def test_stochastic_binarize(self, dtype, gpu):
        x = numpy.repeat(numpy.array(
            [-1.5, -1, -.5, 0, .5, 1, numpy.nan], dtype), 4000)
        first, second = (gpu.call(kernels.stochastic_binarize, x).reshape(
            7, 4000) for _ in range(2))
        assert (first != second).any()
        assert set(numpy.unique(first)) == {-1, 1}
        shares = (first == 1).mean(axis=1)
        numpy.testing.assert_allclose(
            shares, [0, 0, .25, .5, .75, 1, 0], atol=.03)
        assert shares[0] == shares[1] == shares[6] == 0 and shares[5] == 1


@pytest.mark.parametrize('dtype', DTYPES[1:])
@pytest.mark.parametrize('low, high', [(-numpy.inf, numpy.inf), (-.5, .5)])
def test_optimizers(dtype, low, high, gpu):
    x, grad, m, v = (normal(3, 50, dtype=dtype) for _ in range(4))
    v = abs(v)
    for function, expected, arrays, args in (
            (kernels.adam, reference.adam, (x, grad, m, v),
             (.1, .1, .01, 1e-8, .9, .5, low, high)),
            (kernels.momentum_sgd, reference.momentum_sgd, (x, grad, m),
             (.1, .9, low, high))):
        there = [gpu.send(one) for one in arrays]
        here = [one.copy() for one in arrays]
        function(*there, *args)
        expected(*here, *args)
        for one, other in zip(there, here, strict=True):
            numpy.testing.assert_allclose(
                gpu.fetch(one), other, rtol=16 * numpy.finfo(dtype).eps,
                atol=16 * numpy.finfo(dtype).eps)


@pytest.mark.parametrize('dtype', DTYPES)
def test_pack(dtype, gpu):
    for shape in [(3, k) for k in WIDTHS] + [
            (5,), (0, 4), (3, 0), (2, 3, 40), (1, 1), (70, 33)]:
        x = normal(*shape, dtype=dtype)
        assert_same(gpu.call(kernels.pack, x), reference.pack(x))
    for x in special(dtype)[None], normal(8, 70, dtype=dtype)[::2, 1:].T:
        assert_same(gpu.call(kernels.pack, x), reference.pack(x))


def test_xnor_product(gpu):
    for m, k, n in [(3, k, 5) for k in WIDTHS] + [
            (m, 40, n) for m in (1, 63, 65) for n in (1, 64, 130)] + [
            (0, 5, 3), (3, 5, 0), (200, 9, 2), (2, 2000, 70)]:
        a, b = (reference.pack(normal(rows, k)) for rows in (m, n))
        assert_same(gpu.call(kernels.xnor_product, a, b, k=k),
                    reference.xnor_product(a, b, k))


def test_sign_product(gpu):
    x = reference.binarize(normal(9, 70))
    W = normal(5, 70)
    W[0, :2] = 0, -0.
    assert_same(gpu.call(kernels.sign_product, x, W),
                reference.sign_product(x, W))


def test_arrays_do_not_mix(emulated_gpu):
    x = numpy.ones(3, 'f')
    with pytest.raises(TypeError, match='numpy.ndarray'):
        emulated_gpu.send(x) + x
    with pytest.raises(TypeError, match='implicit'):
        numpy.asarray(emulated_gpu.send(x))
    with pytest.raises(AssertionError, match='waits'):
        bool(emulated_gpu.send(x[:1]))


def _launch(gpu, body, arguments, block=64, n=64):
    x = gpu.cupy.empty(n, numpy.int32)
    gpu.cupy.RawKernel(
        'extern "C" __global__ void f(int *x%s) { %s }' % (arguments, body),
        'f')((1,), (block,), (x,))
    return gpu.fetch(x)


def test_emulation(emulated_gpu):
    assert _launch(emulated_gpu, '''__shared__ int s[64];
        s[threadIdx.x] = threadIdx.x;
        __syncthreads();
        x[threadIdx.x] = s[63 - threadIdx.x] + __shfl_xor_sync(
            ~0u, int(threadIdx.x), 1);''', '').tolist() == [
        63 - i + (i ^ 1) for i in range(64)]
    with pytest.raises(AssertionError, match='wait for others for ever'):
        _launch(emulated_gpu, 'if (threadIdx.x) __syncthreads();', '')
    with pytest.raises(AssertionError, match='wait for others for ever'):
        _launch(emulated_gpu, '__ballot_sync(~0u, 1);', '', block=16)
    with pytest.raises(AssertionError, match='behind an array'):
        _launch(emulated_gpu, 'x[threadIdx.x + 1] = 0;', '')
    with pytest.raises(AssertionError, match='sizes and kinds'):
        _launch(emulated_gpu, '', ', float y')


def test_cupy_comes_back():
    """Nothing of the emulation is left after its test."""
    for name, module in list(sys.modules.items()):
        if name == 'cupy' or name.startswith('bnn.kernels.gpu'):
            assert not hasattr(getattr(module, 'cupy', module), 'n_copies')
