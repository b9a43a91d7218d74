"""Batch normalization with and without the sign, against the reference."""
import numpy
import pytest

from bnn import kernels
from bnn.kernels import reference

SHAPES = ((100, 130), (7, 3), (5, 65), (2, 1), (6, 4, 3), (8, 20, 5, 7),
          (3, 2, 1, 1), (2, 3, 2, 2, 2))
DTYPES = numpy.float32, numpy.float64


def case(shape, dtype, mean=0.):
    normal = numpy.random.standard_normal
    x = (3 * normal(shape) + mean).astype(dtype)
    gamma, beta = (normal(shape[1]).astype(dtype) for _ in range(2))
    gamma[0] = 0
    return x, gamma, beta


def assert_close(actual, expected, ulps=16):
    """Relative to the largest value, in units of the dtype's epsilon."""
    assert actual.dtype == expected.dtype
    size = abs(expected).max() if expected.size else 0
    numpy.testing.assert_allclose(
        actual, expected, rtol=0,
        atol=ulps * numpy.finfo(actual.dtype).eps * max(size, 1e-30))


@pytest.mark.parametrize('mean', [0, 100])
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('shape', SHAPES)
def test_forward(shape, dtype, mean, device):
    x, gamma, beta = case(shape, dtype, mean)
    y, *statistics = device.call(
        kernels.batch_norm, x, gamma, beta, 1e-4)
    expected, *expected_statistics = reference.batch_norm(
        x, gamma, beta, 1e-4)
    for ours, theirs in zip(statistics, expected_statistics, strict=True):
        # In float64 the sums are no more precise than the values.
        assert_close(ours, theirs, 4 if dtype == numpy.float32 else 200)
    # A mean of 100 whose last bit differs moves everything.
    assert_close(y, expected, (4 if dtype == numpy.float32 else 200) * (
        4 + mean))
    # The sign of just these values, and the same with given statistics
    mean, var, inv_std = statistics
    sign, *others = device.call(
        kernels.batch_norm, x, gamma, beta, 1e-4, True)
    assert sign.tobytes() == reference.binarize(y).tobytes()
    for a, b in zip(statistics, others, strict=True):
        assert a.tobytes() == b.tobytes()
    for flag, result in (False, y), (True, sign):
        assert device.call(
            kernels.normalize, x, gamma, beta, mean, inv_std,
            flag).tobytes() == result.tobytes()
    assert y.tobytes() == reference.normalize(
        x, gamma, beta, mean, inv_std).tobytes()


@pytest.mark.parametrize('sign', [False, True])
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('shape', SHAPES)
def test_gradient(shape, dtype, sign, device):
    x, gamma, beta = case(shape, dtype)
    gy = numpy.random.standard_normal(shape).astype(dtype)
    _, mean, _, inv_std = device.call(
        kernels.batch_norm, x, gamma, beta, 1e-4)
    args = x, gy, gamma, beta, mean, inv_std, sign
    for ours, theirs in zip(device.call(kernels.batch_norm_gradient, *args),
                            reference.batch_norm_gradient(*args),
                            strict=True):
        assert_close(ours, theirs, 32)


def test_views(device):
    x, gamma, beta = case((8, 6), numpy.float32)
    gy = numpy.random.standard_normal((6, 8)).astype('f').T
    for view in x, x[::-1], numpy.asfortranarray(x):
        y, mean, _, inv_std = device.call(
            kernels.batch_norm, view, gamma, beta, 1e-4)
        copy = numpy.array(view, order='C')
        assert y.tobytes() == device.call(
            kernels.batch_norm, copy, gamma, beta, 1e-4)[0].tobytes()
        results = [device.call(
            kernels.batch_norm_gradient, a, g, gamma, beta, mean, inv_std,
            True)
            for a, g in ((view, gy), (copy, numpy.array(gy, order='C')))]
        for a, b in zip(*results, strict=True):
            assert a.tobytes() == b.tobytes()


def test_variance_does_not_cancel(device):
    x = (1e4 + numpy.random.standard_normal((100, 1))).astype('f')
    _, _, var, _ = device.call(
        kernels.batch_norm, x, numpy.ones(1, 'f'), numpy.zeros(1, 'f'), 0)
    numpy.testing.assert_allclose(
        var, x.astype(float).var(axis=0), rtol=1e-6)


def test_not_finite(device):
    x = numpy.random.standard_normal((4, 3)).astype('f')
    x[1, 0], x[2, 1] = numpy.nan, numpy.inf
    gamma, beta = numpy.ones(3, 'f'), numpy.zeros(3, 'f')
    y, *_ = device.call(kernels.batch_norm, x, gamma, beta, 1e-4)
    assert numpy.isnan(y[:, :2]).any(axis=0).all()
    assert numpy.isfinite(y[:, 2]).all()
    sign, *_ = device.call(kernels.batch_norm, x, gamma, beta, 1e-4, True)
    assert sign.tobytes() == reference.binarize(y).tobytes()


@pytest.mark.parametrize('shape', [(2100, 9), (40, 3, 1000), (3000, 130)])
def test_blocks_share_a_channel(shape, gpu):
    from bnn.kernels import gpu_norm
    x, gamma, beta = case(shape, numpy.float32, 10)
    assert gpu_norm._Plan(x).shares > 1
    y, mean, _, inv_std = gpu.call(kernels.batch_norm, x, gamma, beta, 1e-4)
    for ours, theirs in zip((y, mean, inv_std), numpy.take(
            numpy.array(reference.batch_norm(x, gamma, beta, 1e-4),
                        object), (0, 1, 3)), strict=True):
        assert_close(ours, theirs, 64)
    assert gpu.call(kernels.normalize, x, gamma, beta, mean,
                    inv_std).tobytes() == y.tobytes()
    gy = numpy.random.standard_normal(shape).astype('f')
    args = x, gy, gamma, beta, mean, inv_std, True
    for ours, theirs in zip(gpu.call(kernels.batch_norm_gradient, *args),
                            reference.batch_norm_gradient(*args),
                            strict=True):
        assert_close(ours, theirs, 32)


def test_no_image(device):
    x, gamma, beta = case((0, 3, 4), numpy.float32)
    assert device.call(kernels.normalize, x, gamma, beta, gamma,
                       beta).shape == x.shape


def test_nothing_goes_to_the_gpu_and_back(emulated_gpu):
    x, gamma, beta = case((2100, 9), numpy.float32)
    args = [emulated_gpu.send(v) for v in (x, gamma, beta)]
    before = emulated_gpu.cupy.n_copies
    y, mean, _, inv_std = kernels.batch_norm(*args, 1e-4, True)
    kernels.normalize(*args, mean, inv_std)
    kernels.batch_norm_gradient(args[0], y, *args[1:], mean, inv_std, True)
    assert emulated_gpu.cupy.n_copies == before


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('m', [1, 2, 100])
def test_moving_averages(dtype, m, device):
    arrays = abs(numpy.random.standard_normal((4, 5))).astype(dtype)
    there = [device.send(v.copy()) for v in arrays]
    kernels.moving_averages(*there, m, .9)
    reference.moving_averages(*arrays, m, .9)
    for ours, theirs in zip(there, arrays, strict=True):
        assert_close(device.fetch(ours), theirs, 4)


def test_float16_is_refused_on_a_gpu(gpu):
    x, gamma, beta = case((4, 3), numpy.float16)
    with pytest.raises(TypeError, match='float32 or float64'):
        gpu.call(kernels.batch_norm, x, gamma, beta, 1e-4)
