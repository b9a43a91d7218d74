"""Batch normalization against the reference."""
import numpy
import pytest

from bnn.kernels import batch_norm
from bnn.kernels import elementwise
from bnn.kernels import reference
from bnn.kernels import sign_images

SHAPES = ((100, 130), (7, 3), (5, 65), (2, 1), (6, 4, 3), (8, 20, 5, 7),
          (3, 2, 1, 1), (2, 3, 2, 2, 2), (2100, 40), (40, 3, 1000))
DTYPES = numpy.float32, numpy.float64


def case(shape, dtype, mean=0.):
    normal = numpy.random.standard_normal
    x = (3 * normal(shape) + mean).astype(dtype)
    gamma, beta = (normal(shape[1]).astype(dtype) for _ in range(2))
    gamma[0] = 0
    return x, gamma, beta


def assert_close(actual, expected, ulps=16, size=0):
    """Compares relative to the largest value, in units of eps."""
    assert actual.dtype == expected.dtype
    size = max(size, abs(expected).max() if expected.size else 0)
    numpy.testing.assert_allclose(
        actual, expected, rtol=0,
        atol=ulps * numpy.finfo(actual.dtype).eps * max(size, 1e-30))


def test_forward():
    for shape in SHAPES:
        for dtype in DTYPES:
            # In float64 the sums are no more precise than the values.
            ulps = 4 if dtype == numpy.float32 else 200
            for mean in 0, 100:
                x, gamma, beta = case(shape, dtype, mean)
                y, *statistics = batch_norm.batch_norm(x, gamma, beta, 1e-4)
                expected, *expected_statistics = reference.batch_norm(
                    x, gamma, beta, 1e-4)
                for ours, theirs, size in zip(
                        statistics, expected_statistics,
                        (abs(x).max(), 0, 0), strict=True):
                    assert_close(ours, theirs, ulps, size)
                # A mean of 100 whose last bit differs moves everything.
                assert_close(y, expected, ulps * (4 + mean))
                args = x, gamma, beta, statistics[0], statistics[2]
                for module in batch_norm, reference:
                    assert module.normalize(*args).tobytes() == y.tobytes()


def test_gradient():
    for shape in SHAPES:
        for dtype in DTYPES:
            x, gamma, beta = case(shape, dtype)
            gy = numpy.random.standard_normal(shape).astype(dtype)
            _, mean, _, inv_std = batch_norm.batch_norm(x, gamma, beta, 1e-4)
            args = x, gy, gamma, mean, inv_std
            for ours, theirs in zip(batch_norm.batch_norm_gradient(*args),
                                    reference.batch_norm_gradient(*args),
                                    strict=True):
                assert_close(ours, theirs, 32)


@pytest.mark.parametrize('name, activation, passes', [
    ('normalized_signs', elementwise.binarize, lambda h: abs(h) <= 1),
    ('normalized_relu', elementwise.relu, lambda h: h > 0)])
def test_normalized_and_activated(name, activation, passes):
    forward, backward = (getattr(batch_norm, name + end)
                         for end in ('', '_gradient'))
    for shape in SHAPES:
        for dtype in DTYPES:
            x, gamma, beta = case(shape, dtype)
            # gamma[0] is 0: all values are 0, 1 or -1
            beta[0] = numpy.random.randint(-1, 2)
            gy = numpy.random.standard_normal(shape).astype(dtype)
            h, *statistics = batch_norm.batch_norm(x, gamma, beta, 1e-4)
            y, *found = forward(x, gamma, beta, 1e-4)
            assert y.tobytes() == activation(h).tobytes()
            for a, b in zip(found, statistics, strict=True):
                assert a.tobytes() == b.tobytes()
            mean, _, inv_std = statistics
            args = x, gy, gamma, beta, mean, inv_std
            passed = numpy.where(passes(h), gy, 0).astype(dtype)
            ours = backward(*args)
            of_parts = batch_norm.batch_norm_gradient(
                x, passed, gamma, mean, inv_std)
            # Of the sums only the order may differ.
            ulps = 1 if dtype == numpy.float32 else x.size // shape[1] + 1
            # That of x may be a small difference of terms of this size.
            of_x = abs(gamma * inv_std).max() * abs(passed).max()
            for a, b, size in zip(ours, of_parts, (
                    of_x, *[abs(passed).sum()] * 2), strict=True):
                assert_close(a, b, ulps, size)
            for a, b, size in zip(
                    ours, getattr(reference, name + '_gradient')(*args),
                    (of_x, 0, 0), strict=True):
                assert_close(a, b, 32, size)


def test_rectified_signs():
    """``rectify``: of ReLU of the images, to the bit."""
    for shape in (5, 3, 4, 6), (2, 33, 7, 5), (1, 1, 1, 2):
        for dtype in DTYPES:
            x, gamma, beta = case(shape, dtype)
            gy = numpy.random.standard_normal(shape).astype(dtype)
            x[:, -1] = -abs(x[:, -1])  # nothing is positive
            x[0, 0].flat[:2] = 0., -0.
            positive = elementwise.relu(x)
            (packed, *found), (expected, *statistics) = (
                batch_norm.packed_signs(a, gamma, beta, 1e-4, (1, 0), rectify)
                for a, rectify in ((x, True), (positive, False)))
            assert packed.words.tobytes() == expected.words.tobytes()
            for a, b in zip(found, statistics, strict=True):
                assert a.tobytes() == b.tobytes()
            rest = gamma, beta, statistics[0], statistics[2]
            (gx, *found), (gpositive, *expected) = (
                batch_norm.normalized_signs_gradient(a, gy, *rest, rectify)
                for a, rectify in ((x, True), (positive, False)))
            numpy.testing.assert_array_equal(gx, gpositive * (x > 0))
            for a, b in zip(found, expected, strict=True):
                assert a.tobytes() == b.tobytes()


def test_rectified_signs_of_what_is_not_finite():
    x, gamma, beta = case((4, 3, 5, 2), numpy.float32)
    x[1, 0, 0, 0], x[2, 1, 0, 0], x[3, 2, 0, 0] = (
        numpy.nan, numpy.inf, -numpy.inf)
    with numpy.errstate(invalid='ignore'):
        (packed, *found), (expected, *statistics) = (
            batch_norm.packed_signs(a, gamma, beta, 1e-4, (0, 0), rectify)
            for a, rectify in ((x, True), (elementwise.relu(x), False)))
    assert packed.words.tobytes() == expected.words.tobytes()
    for a, b in zip(found, statistics, strict=True):
        numpy.testing.assert_array_equal(a, b)
    assert numpy.isfinite(found[0]).tolist() == [False, False, True]


def test_packed_signs():
    for shape in (5, 3, 4, 6), (2, 33, 7, 5), (3, 64, 3, 3), (1, 1, 1, 2):
        for dtype in DTYPES:
            x, gamma, beta = case(shape, dtype)
            x.flat[-1] = numpy.nan
            with numpy.errstate(invalid='ignore'):
                y, *statistics = batch_norm.normalized_signs(
                    x, gamma, beta, 1e-4)
                for pad in (0, 0), (1, 0), (2, 3):
                    packed, *found = batch_norm.packed_signs(
                        x, gamma, beta, 1e-4, pad)
                    assert packed.unpack().tobytes() == y.tobytes()
                    assert packed.has_zeros == (max(pad) > 0)
                    of_floats = sign_images.pack(y, pad)
                    numpy.testing.assert_array_equal(
                        packed.words, of_floats.words)
                    for a, b in zip(found, statistics, strict=True):
                        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize('name', ['normalized_signs', 'normalized_relu'])
def test_activated_of_what_is_not_finite(name):
    nan, inf = numpy.nan, numpy.inf
    x = numpy.array([[1, nan, inf], [-1, 2, 3], [4, 5, 6]], 'f')
    one = numpy.ones(3, 'f')
    for v in x, x[..., None]:
        with numpy.errstate(invalid='ignore'):
            y, mean, _, inv_std = getattr(batch_norm, name)(
                v, one, 0 * one, 1e-4)
        lost = y[:, 1:]
        assert (numpy.isnan(lost).all() if name == 'normalized_relu'
                else (lost == -1).all())
        gy = numpy.ones_like(v)
        gx, _, gbeta = getattr(batch_norm, name + '_gradient')(
            v, gy, one, 0 * one, mean, inv_std)
        assert gbeta.tolist()[1:] == [0, 0]  # nothing passes
        assert numpy.isfinite(gx[:, 0]).all()
        gy[0] = nan  # is multiplied by 0 where it does not pass
        _, ggamma, gbeta = getattr(batch_norm, name + '_gradient')(
            v, gy, one, 0 * one, mean, inv_std)
        assert numpy.isnan(ggamma).all()
        assert numpy.isnan(gbeta).all()


def test_views():
    x, gamma, beta = case((8, 6), numpy.float32)
    gy = numpy.random.standard_normal((6, 8)).astype('f').T
    for view in x, x[::-1], numpy.asfortranarray(x):
        copy = numpy.array(view, order='C')
        found, expected = (batch_norm.batch_norm(v, gamma, beta, 1e-4)
                           for v in (view, copy))
        _, mean, _, inv_std = found
        found += batch_norm.batch_norm_gradient(
            view, gy, gamma, mean, inv_std)
        expected += batch_norm.batch_norm_gradient(
            copy, numpy.array(gy, order='C'), gamma, mean, inv_std)
        for a, b in zip(found, expected, strict=True):
            assert a.tobytes() == b.tobytes()


def test_variance_does_not_cancel():
    x = (1e4 + numpy.random.standard_normal((100, 1))).astype('f')
    _, _, var, _ = batch_norm.batch_norm(
        x, numpy.ones(1, 'f'), numpy.zeros(1, 'f'), 0)
    numpy.testing.assert_allclose(
        var, x.astype(float).var(axis=0), rtol=1e-6)


def test_not_finite():
    x = numpy.random.standard_normal((4, 3)).astype('f')
    x[1, 0], x[2, 1] = numpy.nan, numpy.inf
    y, *_ = batch_norm.batch_norm(
        x, numpy.ones(3, 'f'), numpy.zeros(3, 'f'), 1e-4)
    assert numpy.isnan(y[:, :2]).any(axis=0).all()
    assert numpy.isfinite(y[:, 2]).all()


def test_no_image():
    x, gamma, beta = case((0, 3, 4), numpy.float32)
    assert batch_norm.normalize(x, gamma, beta, gamma, beta).shape == x.shape


def test_moving_averages():
    for dtype in DTYPES:
        for m in 1, 2, 100:
            arrays = abs(numpy.random.standard_normal((4, 5))).astype(dtype)
            ours = [v.copy() for v in arrays]
            batch_norm.moving_averages(*ours, m, .9)
            reference.moving_averages(*arrays, m, .9)
            for a, b in zip(ours, arrays, strict=True):
                assert_close(a, b, 4)
