"""Batch normalization.  NumPy arrays of float32 or 64.

Arrays of (n, channels) are normalized in blocks of channels.  Images of
(n, channels, positions) are gone through plane by plane, as they lie in
memory, and the sums of the planes of a channel are added in the order of the
images.  Sums are of float64.
"""
from __future__ import annotations

import math

import numba
import numpy

from bnn.kernels import float_tiles
from bnn.kernels import nontemporal
from bnn.kernels import sign_images
from bnn.kernels import threads

_BLOCK = 64
# What becomes of the normalized values
_AS_THEY_ARE, _SIGNS, _RELU = range(3)


def batch_norm(x: numpy.ndarray, gamma: numpy.ndarray, beta: numpy.ndarray,
               eps: float) -> tuple[numpy.ndarray, ...]:
    r"""Normalizes by the statistics of a batch, in two passes.

    .. math::

        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    with the mean and the biased variance of each channel (`1502.03167
    <https://arxiv.org/abs/1502.03167>`_, Algorithm 1).

    Args:
        x: (n, channels, ...), float32 or 64, not empty.
        gamma: (channels,), of the dtype of ``x``.
        beta: As ``gamma``.
        eps: Added to the variance.

    Returns:
        The result, of the shape and dtype of ``x``; mean, variance and
        reciprocal of the deviation, (channels,) of that dtype.
    """
    return _forward(x, gamma, beta, eps, _AS_THEY_ARE)


def normalized_signs(
        x: numpy.ndarray, gamma: numpy.ndarray, beta: numpy.ndarray,
        eps: float) -> tuple[numpy.ndarray, ...]:
    """Computes the signs of :func:`batch_norm`, in two passes.

    The bits are those of :func:`~bnn.kernels.elementwise.binarize` behind
    :func:`batch_norm`.

    Args:
        x, gamma, beta, eps: See :func:`batch_norm`.

    Returns:
        +1 and -1, of the shape and dtype of ``x``; mean, variance and
        reciprocal of the deviation, (channels,) of that dtype.
    """
    return _forward(x, gamma, beta, eps, _SIGNS)


def normalized_relu(
        x: numpy.ndarray, gamma: numpy.ndarray, beta: numpy.ndarray,
        eps: float) -> tuple[numpy.ndarray, ...]:
    """Computes what is positive of :func:`batch_norm`, in two passes.

    The bits are those of :func:`~bnn.kernels.elementwise.relu` behind
    :func:`batch_norm`.

    Args:
        x, gamma, beta, eps: See :func:`batch_norm`.

    Returns:
        The result, of the shape and dtype of ``x``; mean, variance and
        reciprocal of the deviation, (channels,) of that dtype.
    """
    return _forward(x, gamma, beta, eps, _RELU)


def _forward(x, gamma, beta, eps, kind):
    x, y = _flat(x), nontemporal.empty(x.shape, x.dtype)
    mean, var, inv_std = statistics = numpy.empty((3, len(gamma)), x.dtype)
    if x.ndim == 2:
        _of_rows(x.size, x, y, gamma, beta, float(eps), mean, var, inv_std,
                 kind)
    else:
        _statistics_of_planes(x.size, x, _least(x, False), float(eps), mean,
                              var, inv_std)
        _normalize_planes(x.size, x, gamma, beta, mean, inv_std, kind,
                          y.reshape(x.shape),
                          nontemporal.is_streamed(y, x.shape[2]))
    return y, *statistics


def packed_signs(
        x: numpy.ndarray, gamma: numpy.ndarray, beta: numpy.ndarray,
        eps: float, pad: tuple[int, int], rectify: bool = False,
) -> tuple[sign_images.PackedImages | numpy.ndarray, ...]:
    """Computes :func:`normalized_signs` of images, and packs them.

    Args:
        x: (n, channels, h, w), float32 or 64, not empty.
        gamma, beta, eps: See :func:`batch_norm`.
        pad: Width of the padding of the packed images, (h, w); it is 0.
        rectify: Whether ReLU comes first: of ``x`` only what is positive
            counts.

    Returns:
        The signs; mean, variance and reciprocal of the deviation, as
        :func:`normalized_signs` returns them.
    """
    packed = sign_images.PackedImages(
        x.shape, x.dtype, x.dtype.type(1), pad, has_zeros=max(pad) > 0)
    x, width = _flat(x), x.shape[3]
    mean, var, inv_std = statistics = numpy.empty((3, len(gamma)), x.dtype)
    least = _least(x, rectify)
    _statistics_of_planes(x.size, x, least, float(eps), mean, var, inv_std)
    _pack_planes(x.size, x, least, gamma, beta, mean, inv_std, width,
                 packed.padded, pad, packed.words)
    return packed, *statistics


def normalize(x: numpy.ndarray, gamma: numpy.ndarray, beta: numpy.ndarray,
              mean: numpy.ndarray, inv_std: numpy.ndarray) -> numpy.ndarray:
    """Normalizes by given statistics, in one pass.

    ``y = gamma * ((x - mean) * inv_std) + beta``, with the bits of
    :func:`batch_norm`.

    Args:
        x: (n, channels, ...), float32 or 64.
        gamma: (channels,), of the dtype of ``x``.
        beta: As ``gamma``.
        mean: As ``gamma``.
        inv_std: Reciprocal of the deviation, as ``gamma``.

    Returns:
        Of the shape and dtype of ``x``.
    """
    x, y = _flat(x), numpy.empty(x.shape, x.dtype)
    if x.ndim == 2:
        _normalize_rows(x.size, x, y, gamma, beta, mean, inv_std)
    else:
        _normalize_planes(x.size, x, gamma, beta, mean, inv_std, _AS_THEY_ARE,
                          y.reshape(x.shape), False)
    return y


def batch_norm_gradient(
        x: numpy.ndarray, gy: numpy.ndarray, gamma: numpy.ndarray,
        mean: numpy.ndarray, inv_std: numpy.ndarray,
) -> tuple[numpy.ndarray, ...]:
    r"""Computes the gradients of :func:`batch_norm`, in two passes.

    .. math::

        g_\beta = \sum g_y, \quad g_\gamma = \sum g_y \hat{x}, \quad
        g_x = \frac{\gamma}{\sigma} \left(g_y -
        \frac{\hat{x} g_\gamma + g_\beta}{m}\right)

    over the ``m`` values of a channel, with
    :math:`\hat{x} = (x - \mu) / \sigma`.

    Args:
        x: Input of the forward computation.
        gy: Gradient of its result, of the shape and dtype of ``x``.
        gamma: As of the forward computation.
        mean: As :func:`batch_norm` returned it.
        inv_std: As :func:`batch_norm` returned it.

    Returns:
        Gradients of ``x``, ``gamma`` and ``beta``.
    """
    return _backward(x, gy, gamma, gamma, mean, inv_std)


def normalized_signs_gradient(
        x: numpy.ndarray, gy: numpy.ndarray, gamma: numpy.ndarray,
        beta: numpy.ndarray, mean: numpy.ndarray, inv_std: numpy.ndarray,
        rectify: bool = False) -> tuple[numpy.ndarray, ...]:
    """Computes the straight-through gradients of :func:`normalized_signs`.

    They are those of :func:`batch_norm_gradient`, with ``gy`` times 0 where
    the normalized value is not in [-1, 1], in two passes.  The normalized
    values are computed anew, to the same bits.  The two sums may be added in
    another order; their difference is below ``m`` eps of float64 of the sum of
    the sizes, before they are rounded to the dtype of ``x``.

    Args:
        x: Input of the forward computation.
        gy: Gradient of its result, of the shape and dtype of ``x``.
        gamma: As of the forward computation.
        beta: As ``gamma``.
        mean: As :func:`normalized_signs` returned it.
        inv_std: As :func:`normalized_signs` returned it.
        rectify: See :func:`packed_signs`.  The gradient of ``x`` is that of
            before ReLU then.  Images alone.

    Returns:
        Gradients of ``x``, ``gamma`` and ``beta``.
    """
    return _backward(x, gy, gamma, beta, mean, inv_std, (-1., 1.), rectify)


def normalized_relu_gradient(
        x: numpy.ndarray, gy: numpy.ndarray, gamma: numpy.ndarray,
        beta: numpy.ndarray, mean: numpy.ndarray, inv_std: numpy.ndarray,
) -> tuple[numpy.ndarray, ...]:
    """Computes the gradients of :func:`normalized_relu`.

    They are those of :func:`batch_norm_gradient`, with ``gy`` times 0 where
    the normalized value is not positive, computed as those of
    :func:`normalized_signs_gradient`.

    Args:
        x, gy, gamma, beta, mean, inv_std: See
            :func:`normalized_signs_gradient`.

    Returns:
        Gradients of ``x``, ``gamma`` and ``beta``.
    """
    least = float(numpy.finfo(x.dtype).smallest_subnormal)
    return _backward(x, gy, gamma, beta, mean, inv_std, (least, numpy.inf))


def _backward(x, gy, gamma, beta, mean, inv_std, bounds=None, rectify=False):
    """``bounds``: between which normalized values let ``gy`` pass."""
    gx = nontemporal.empty(x.shape, x.dtype)
    x, gy = _flat(x), _flat(gy)
    ggamma, gbeta = numpy.empty((2, len(gamma)), x.dtype)
    low, high = (x.dtype.type(bound) for bound in bounds or (0, 0))
    if x.ndim == 2:
        _gradient_of_rows(
            x.size, x, gy, gx, gamma, beta, mean, inv_std, ggamma, gbeta,
            bounds is not None, low, high)
    else:
        _gradient_of_planes(
            x.size, x, gy, gx.reshape(x.shape), _least(x, rectify), gamma,
            beta, mean, inv_std, ggamma, gbeta, bounds is not None, low, high,
            nontemporal.is_streamed(gx, x.shape[2]))
    return gx, ggamma, gbeta


def _least(x, rectify):
    """Returns what smaller numbers count as."""
    return x.dtype.type(0 if rectify else -numpy.inf)


def moving_averages(
        running_mean: numpy.ndarray, running_var: numpy.ndarray,
        mean: numpy.ndarray, var: numpy.ndarray, m: int, decay: float,
) -> None:
    r"""Updates moving averages of statistics, in place.

    ``running = decay * running + (1 - decay) * new``, where the new variance
    is the unbiased one, ``m / (m - 1) * var``, as in Chainer.

    Args:
        running_mean: (channels,), float32 or 64; changed.
        running_var: As ``running_mean``; changed.
        mean: As :func:`batch_norm` returned it.
        var: As :func:`batch_norm` returned it.
        m: Values in a channel.
        decay: Share of the old average that stays.
    """
    for running, new in ((running_mean, mean),
                         (running_var, m / max(m - 1, 1) * var)):
        running *= decay
        running += (1 - decay) * new


def _flat(x):
    x = numpy.ascontiguousarray(x)
    # The product, because reshape cannot tell -1 for an empty batch
    return x if x.ndim == 2 else x.reshape(
        *x.shape[:2], math.prod(x.shape[2:]))


@numba.njit(inline='always', error_model='numpy')
def _keep(total, square, shift, n, eps, c, mean, var, inv_std):
    # The sums are of differences from a first value, so that the variance
    # does not cancel.
    average = total / n
    spread = max(square / n - average * average, 0.)
    mean[c] = shift + average
    var[c] = spread
    inv_std[c] = 1 / numpy.sqrt(spread + eps)


# ---- rows: (n, channels)


@threads.Kernel
def _of_rows(x, y, gamma, beta, eps, mean, var, inv_std, kind):
    for block in numba.prange(-(-x.shape[1] // _BLOCK)):
        some = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _of_columns(x, y, some, gamma[some], beta[some], eps, mean[some],
                    var[some], inv_std[some], kind)


@numba.njit(error_model='numpy')
def _of_columns(x, y, some, gamma, beta, eps, mean, var, inv_std, kind):
    total = numpy.zeros(len(gamma))
    square = numpy.zeros(len(gamma))
    first = x[0, some]
    for i in range(len(x)):
        row = x[i, some]
        for c in range(len(total)):
            d = numpy.float64(row[c] - first[c])
            total[c] += d
            square[c] += d * d
    for c in range(len(total)):
        _keep(total[c], square[c], first[c], len(x), eps, c, mean, var,
              inv_std)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(len(x)):
        row, out = x[i, some], y[i, some]
        if kind == _SIGNS:
            for c in range(len(gamma)):
                h = gamma[c] * ((row[c] - mean[c]) * inv_std[c]) + beta[c]
                out[c] = one if h >= 0 else -one
        elif kind == _RELU:
            for c in range(len(gamma)):
                h = gamma[c] * ((row[c] - mean[c]) * inv_std[c]) + beta[c]
                out[c] = zero if h <= 0 else h
        else:
            for c in range(len(gamma)):
                out[c] = gamma[c] * ((row[c] - mean[c]) * inv_std[c]) + (
                    beta[c])


@threads.Kernel
def _normalize_rows(x, y, gamma, beta, mean, inv_std):
    for i in numba.prange(len(x)):
        for c in range(x.shape[1]):
            x_hat = (x[i, c] - mean[c]) * inv_std[c]
            y[i, c] = gamma[c] * x_hat + beta[c]


@threads.Kernel
def _gradient_of_rows(x, gy, gx, gamma, beta, mean, inv_std, ggamma, gbeta,
                      is_masked, low, high):
    for block in numba.prange(-(-x.shape[1] // _BLOCK)):
        some = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _gradient_of_columns(
            x, gy, gx, some, gamma[some], beta[some], mean[some],
            inv_std[some], ggamma[some], gbeta[some], is_masked, low, high)


@numba.njit(error_model='numpy')
def _gradient_of_columns(x, gy, gx, some, gamma, beta, mean, inv_std, ggamma,
                         gbeta, is_masked, low, high):
    inv_n = x.dtype.type(1 / len(x))
    total = numpy.zeros(len(gamma))
    product = numpy.zeros(len(gamma))
    for i in range(len(x)):
        row, gy_row = x[i, some], gy[i, some]
        if is_masked:
            for c in range(len(total)):
                g = _passed(row[c], gy_row[c], gamma[c], beta[c], mean[c],
                            inv_std[c], low, high)
                x_hat = (row[c] - mean[c]) * inv_std[c]
                total[c] += g
                product[c] += numpy.float64(g) * x_hat
        else:
            for c in range(len(total)):
                x_hat = (row[c] - mean[c]) * inv_std[c]
                total[c] += gy_row[c]
                product[c] += numpy.float64(gy_row[c]) * x_hat
    for c in range(len(total)):
        gbeta[c] = total[c]
        ggamma[c] = product[c]
    for i in range(len(x)):
        row, gy_row, gx_row = x[i, some], gy[i, some], gx[i, some]
        if is_masked:
            for c in range(len(gamma)):
                g = _passed(row[c], gy_row[c], gamma[c], beta[c], mean[c],
                            inv_std[c], low, high)
                x_hat = (row[c] - mean[c]) * inv_std[c]
                gx_row[c] = gamma[c] * inv_std[c] * (
                    g - (x_hat * ggamma[c] + gbeta[c]) * inv_n)
        else:
            for c in range(len(gamma)):
                x_hat = (row[c] - mean[c]) * inv_std[c]
                gx_row[c] = gamma[c] * inv_std[c] * (
                    gy_row[c] - (x_hat * ggamma[c] + gbeta[c]) * inv_n)


# Without fastmath, also where it is part of a sum: the bits of h decide.  A
# choice between gy and 0 would load gy under a mask, which takes AMD's
# processors far longer where it is not in the cache.
@numba.njit(error_model='numpy')
def _passed(x, gy, gamma, beta, mean, inv_std, low, high):
    h = gamma * ((x - mean) * inv_std) + beta
    zero, one = type(gy)(0), type(gy)(1)
    return gy * (one if (h >= low) & (h <= high) else zero)


# ---- planes: (n, channels, positions)


@threads.Kernel
def _statistics_of_planes(x, least, eps, mean, var, inv_std):
    n, n_channels, size = x.shape
    sums = numpy.empty((n, n_channels, 2))
    first = numpy.empty(n_channels, x.dtype)
    for c in range(n_channels):
        first[c] = _at_least(least, x[0, c, 0])
    for i in numba.prange(n):
        _sums(x[i], least, first, sums[i])
    for c in range(n_channels):
        total, square = _total(sums[:, c])
        _keep(total, square, first[c], n * size, eps, c, mean, var, inv_std)


@threads.Kernel
def _normalize_planes(x, gamma, beta, mean, inv_std, kind, y, is_streamed):
    for i in numba.prange(len(x)):
        _normalize_image(x[i], gamma, beta, mean, inv_std, kind, y[i],
                         is_streamed)
        nontemporal.finish()


# Each function has an image, (channels, positions): one that had a plane
# would count the references to it, which takes longer than a small plane.


@numba.njit(error_model='numpy')
def _at_least(least, x):
    return least if x < least else x


@threads.add_in_any_order
def _sums(x, least, shift, sums):
    for c in range(len(x)):
        plane, first = x[c], shift[c]
        total = square = 0.
        # A loop over the values themselves would not use vectors.
        for i in range(len(plane)):
            d = numpy.float64(_at_least(least, plane[i]) - first)
            total += d
            square += d * d
        sums[c, 0], sums[c, 1] = total, square


@numba.njit(error_model='numpy')
def _total(sums):
    """Adds the sums of the planes of a channel."""
    first = second = 0.
    for i in range(len(sums)):
        first += sums[i, 0]
        second += sums[i, 1]
    return first, second


@numba.njit(error_model='numpy')
def _normalize_image(x, gamma, beta, mean, inv_std, kind, y, is_streamed):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    row = numpy.empty(x.shape[1], x.dtype)
    for c in range(len(x)):
        plane, out = x[c], row if is_streamed else y[c]
        if kind == _SIGNS:
            for i in range(len(plane)):
                h = gamma[c] * ((plane[i] - mean[c]) * inv_std[c]) + beta[c]
                out[i] = one if h >= 0 else -one
        elif kind == _RELU:
            for i in range(len(plane)):
                h = gamma[c] * ((plane[i] - mean[c]) * inv_std[c]) + beta[c]
                out[i] = zero if h <= 0 else h
        else:
            for i in range(len(plane)):
                out[i] = gamma[c] * (
                    (plane[i] - mean[c]) * inv_std[c]) + beta[c]
        if is_streamed:
            nontemporal.copy(row.ctypes.data, y[c].ctypes.data, row.nbytes)


@threads.Kernel
def _pack_planes(x, least, gamma, beta, mean, inv_std, width, padded, pad,
                 words):
    for i in numba.prange(len(x)):
        _pack_signs_of_image(x[i], least, gamma, beta, mean, inv_std, width,
                             padded, pad, words[i])


@numba.njit(error_model='numpy')
def _pack_signs_of_image(x, least, gamma, beta, mean, inv_std, width, padded,
                         pad, words):
    """Writes an image of :class:`~bnn.kernels.sign_images.PackedImages`."""
    n_channels, size = x.shape
    signs, masks = numpy.empty((2, size), numpy.uint32)
    zero = numpy.uint32(0)
    for group in range(-(-n_channels // 32)):
        float_tiles.fill(zero, signs)
        mask = zero
        for c in range(32 * group, min(32 * group + 32, n_channels)):
            bit, plane = numpy.uint32(1) << numpy.uint32(c % 32), x[c]
            mask |= bit
            for i in range(size):
                value = _at_least(least, plane[i])
                h = gamma[c] * ((value - mean[c]) * inv_std[c]) + beta[c]
                signs[i] |= bit if h >= 0 else zero
        float_tiles.fill(mask, masks)
        sign_images.copy_into_padded(
            signs, width, padded, pad, group, words[0])
        sign_images.copy_into_padded(
            masks, width, padded, pad, group, words[1])


@threads.Kernel
def _gradient_of_planes(x, gy, gx, least, gamma, beta, mean, inv_std, ggamma,
                        gbeta, is_masked, low, high, is_streamed):
    n, n_channels, size = x.shape
    inv_n = x.dtype.type(1 / (n * size))
    sums = numpy.empty((n, n_channels, 2))
    for i in numba.prange(n):
        _gradient_sums(x[i], gy[i], least, gamma, beta, mean, inv_std,
                       is_masked, low, high, sums[i])
    for c in range(n_channels):
        gbeta[c], ggamma[c] = _total(sums[:, c])
    for i in numba.prange(n):
        _gradient_of_image(
            x[i], gy[i], gx[i], least, gamma, beta, mean, inv_std, ggamma,
            gbeta, inv_n, is_masked, low, high, is_streamed)
        nontemporal.finish()


@threads.add_in_any_order
def _gradient_sums(x, gy, least, gamma, beta, mean, inv_std, is_masked, low,
                   high, sums):
    for c in range(len(x)):
        plane, gy_plane = x[c], gy[c]
        total = product = 0.
        if is_masked:
            for i in range(len(plane)):
                value = _at_least(least, plane[i])
                g = _passed(value, gy_plane[i], gamma[c], beta[c], mean[c],
                            inv_std[c], low, high)
                x_hat = (value - mean[c]) * inv_std[c]
                total += g
                product += numpy.float64(g) * x_hat
        else:
            for i in range(len(plane)):
                x_hat = (plane[i] - mean[c]) * inv_std[c]
                total += gy_plane[i]
                product += numpy.float64(gy_plane[i]) * x_hat
        sums[c, 0], sums[c, 1] = total, product


@numba.njit(error_model='numpy')
def _gradient_of_image(x, gy, gx, least, gamma, beta, mean, inv_std, ggamma,
                       gbeta, inv_n, is_masked, low, high, is_streamed):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    row = numpy.empty(x.shape[1], x.dtype)
    for c in range(len(x)):
        plane, gy_plane = x[c], gy[c]
        out = row if is_streamed else gx[c]
        if is_masked:
            for i in range(len(plane)):
                value = _at_least(least, plane[i])
                g = _passed(value, gy_plane[i], gamma[c], beta[c], mean[c],
                            inv_std[c], low, high)
                x_hat = (value - mean[c]) * inv_std[c]
                out[i] = gamma[c] * inv_std[c] * (
                    g - (x_hat * ggamma[c] + gbeta[c]) * inv_n) * (
                        one if plane[i] > least else zero)
        else:
            for i in range(len(plane)):
                x_hat = (plane[i] - mean[c]) * inv_std[c]
                out[i] = gamma[c] * inv_std[c] * (
                    gy_plane[i] - (x_hat * ggamma[c] + gbeta[c]) * inv_n)
        if is_streamed:
            nontemporal.copy(row.ctypes.data, gx[c].ctypes.data, row.nbytes)
