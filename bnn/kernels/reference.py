"""The definition of every kernel for training, in plain NumPy.

The fast functions of the same names document arguments and results.  The
tests compare them with these.
"""
import math

import numpy


def binarize(x):
    return numpy.where(x >= 0, 1, -1).astype(x.dtype)


def ste_gradient(x, gy, low=-1.0, high=1.0):
    return numpy.where((low <= x) & (x <= high), gy, 0).astype(gy.dtype)


def approx_sign_gradient(x, gy):
    return numpy.where(
        numpy.abs(x) <= 1, gy * (2 - 2 * numpy.abs(x)), 0).astype(gy.dtype)


def swish_sign_gradient(x, gy, beta=5.0):
    z = numpy.clip(beta * x.astype(numpy.float64), -80, 80)
    slope = beta * (2 - z * numpy.tanh(z / 2)) / (1 + numpy.cosh(z))
    return numpy.where(
        numpy.abs(z) < 80, gy * slope, 0).astype(gy.dtype)


def _scale(W):
    axes = tuple(range(1, W.ndim))
    return abs(W).mean(axes, keepdims=True), axes


def scaled_binarize(W):
    return binarize(W) * _scale(W)[0]


def scaled_binarize_gradient(W, g):
    scale, axes = _scale(W)
    through_scale = (g * binarize(W)).mean(axes, keepdims=True)
    return binarize(W) * through_scale + ste_gradient(W, g) * scale


def random_words(shape, key):
    # The number of an element, mixed twice by the output function of PCG and
    # a step of its generator (O'Neill, HMC-CS-2014-0905, RXS-M-XS; as a hash:
    # Jarzynski and Olano, JCGT 9(3), 2020)
    s = numpy.arange(math.prod(shape), dtype=numpy.uint32)
    for word in key:
        s = (s ^ word) * numpy.uint32(747796405) + numpy.uint32(2891336453)
        s = ((s >> ((s >> 28) + 4)) ^ s) * numpy.uint32(277803737)
        s = (s >> 22) ^ s
    return s.reshape(shape)


def stochastic_binarize(x, key):
    u = (random_words(x.shape, key) >> 8) * 2. ** -24
    p = (x.astype(numpy.promote_types(x.dtype, numpy.float32)) + 1) / 2
    return numpy.where(u < p, 1, -1).astype(x.dtype)


def dropout(x, ratio, key):
    keep = random_words(x.shape, key) >= round(ratio * 2 ** 32)
    return (x * (keep * (1 / (1 - ratio))).astype(x.dtype)).astype(x.dtype)


def quantize(x, n, low, high):
    return (numpy.rint(numpy.clip(x, low, high) * n) / n).astype(x.dtype)


def dorefa(W, n):
    t = numpy.tanh(W)
    return 2 * quantize(t / (2 * abs(t).max()) + .5, n, 0, 1) - 1, t


def dorefa_gradient(t, gy):
    m = abs(t).max()
    through_m = numpy.where(abs(t) == m, numpy.sign(t), 0) * (gy * t / m).sum()
    return (gy - through_m) * (1 - t * t) / m


def clip(x, low, high):
    x[...] = numpy.where(x < low, low, numpy.where(x > high, high, x))


def adam(x, grad, m, v, alpha, beta1, beta2, eps=1e-8, keep=1., eta=1.):
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad * grad - v)
    x[...] = keep * x - eta * (alpha / (numpy.sqrt(v) + eps) * m)


def pack(x):
    bits = numpy.packbits(x >= 0, axis=-1, bitorder='little')
    words = numpy.zeros((*x.shape[:-1], -(-x.shape[-1] // 32)), '<u4')
    words.view(numpy.uint8)[..., :bits.shape[-1]] = bits
    return words.astype(numpy.uint32)


def xnor_product(a, b, k):
    differ = numpy.unpackbits(
        (a[:, None] ^ b).view(numpy.uint8), axis=-1).sum(axis=-1, dtype=int)
    return (k - 2 * differ).astype(numpy.float32)


def is_signs(x):
    return bool(((x == 1) | (x == -1)).all())


def sign_product(x, W):  # of signs.Signs.apply
    return (x @ binarize(W).T).astype(x.dtype)


def round_to_bfloat16(x):
    # To 8 bits, ties to even; NaN stays what it is
    bits = numpy.ascontiguousarray(x, numpy.float32).view(numpy.uint32)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return numpy.where(
        numpy.isnan(x), x, bits.view(numpy.float32)).astype(x.dtype)


def _operands(precision, *arrays):
    return map(round_to_bfloat16, arrays) if precision == 'bfloat16' else (
        arrays)


def multiply_rounded(a, b):
    return round_to_bfloat16(a) @ round_to_bfloat16(b)


def weight_gradient(gy, x, precision='float32'):
    gy, x = _operands(precision, gy, x)
    return gy.T @ x


def _windows(x, ksize, stride, pad, out_size, value):
    # (batch, channels, h_out, w_out, h * w)
    x = numpy.pad(x, ((0, 0), (0, 0), *(
        (p, max((o - 1) * s + k - n - p, 0)) for n, k, s, p, o in zip(
            x.shape[2:], ksize, stride, pad, out_size, strict=True))),
        constant_values=value)
    windows = numpy.lib.stride_tricks.sliding_window_view(x, ksize, (2, 3))[
        :, :, ::stride[0], ::stride[1]][:, :, :out_size[0], :out_size[1]]
    return windows.reshape(*windows.shape[:4], math.prod(ksize))


def max_pool(x, ksize, stride, pad, out_size):
    windows = _windows(x, ksize, stride, pad, out_size, -numpy.inf)
    where = windows.argmax(axis=4)
    y = numpy.take_along_axis(windows, where[..., None], 4)[..., 0]
    i, j = numpy.indices(out_size)
    rows, columns = numpy.divmod(where, ksize[1])
    rows += i * stride[0] - pad[0]
    columns += j * stride[1] - pad[1]
    inside = (0 <= rows) & (rows < x.shape[2]) & (0 <= columns) & (
        columns < x.shape[3])
    return y, numpy.where(inside, where, 255).astype(numpy.uint8)


def max_pool_gradient(gy, where, ksize, stride, pad, size):
    gx = numpy.zeros((*gy.shape[:2], *size), gy.dtype)
    for n, c, i, j in numpy.argwhere(where != 255):
        row, column = divmod(int(where[n, c, i, j]), ksize[1])
        gx[n, c, i * stride[0] + row - pad[0],
           j * stride[1] + column - pad[1]] += gy[n, c, i, j]
    return gx


def average_pool(x, ksize, stride, pad, out_size):
    return _windows(x, ksize, stride, pad, out_size, 0).mean(axis=4)


def average_pool_gradient(gy, ksize, stride, pad, size):
    gx = numpy.zeros((*gy.shape[:2], *(
        n + p + o * s + k for n, p, o, s, k in zip(
            size, pad, gy.shape[2:], stride, ksize, strict=True))), gy.dtype)
    for i, j in numpy.ndindex(*gy.shape[2:]):
        top, left = i * stride[0], j * stride[1]
        gx[:, :, top:top + ksize[0], left:left + ksize[1]] += (
            gy[:, :, i:i + 1, j:j + 1])
    return gx[:, :, pad[0]:pad[0] + size[0],
              pad[1]:pad[1] + size[1]] / gy.dtype.type(math.prod(ksize))


def relu(x):
    return numpy.where(x <= 0, 0, x).astype(x.dtype)


def relu_gradient(y, gy):
    return gy * (y > 0)


def convolve(x, W, stride, pad, dilate, b=None):
    # One element of the filters after the other
    y = 0. if b is None else b[:, None, None]
    for i, j, part in _parts(x, W.shape[2:], stride, pad, dilate):
        y = y + numpy.einsum('ncyx,fc->nfyx', part, W[:, :, i, j])
    return y


def input_gradient(gy, W, stride, pad, dilate, size, scale=None,
                   precision='float32'):
    if scale is not None:
        gy, W = gy * scale[:, None, None], binarize(W)
    gy, W = _operands(precision, gy, W)
    gx = numpy.zeros((len(gy), W.shape[1], *(
        n + 2 * p for n, p in zip(size, pad, strict=True))), gy.dtype)
    parts = _parts(gx, W.shape[2:], stride, (0, 0), dilate, gy.shape[2:])
    for i, j, part in parts:  # a view of gx
        part += numpy.einsum('nfyx,fc->ncyx', gy, W[:, :, i, j])
    return gx[:, :, pad[0]:pad[0] + size[0], pad[1]:pad[1] + size[1]]


def filter_gradient(x, gy, stride, pad, dilate, ksize, precision='float32'):
    gb = gy.sum(axis=(0, 2, 3))
    x, gy = _operands(precision, x, gy)
    gW = numpy.zeros((gy.shape[1], x.shape[1], *ksize), gy.dtype)
    parts = _parts(x, ksize, stride, pad, dilate, gy.shape[2:])
    for i, j, part in parts:
        gW[:, :, i, j] = numpy.einsum('nfyx,ncyx->fc', gy, part)
    return gW, gb


def _parts(x, ksize, stride, pad, dilate, size=None):
    if any(pad):
        x = numpy.pad(x, ((0, 0), (0, 0), *((p, p) for p in pad)))
    size = size or [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(
        x.shape[2:], ksize, stride, dilate, strict=True)]
    for i, j in numpy.ndindex(*ksize):
        rows, columns = (
            slice(at * d, at * d + (n - 1) * s + 1, s) for at, d, n, s in zip(
                (i, j), dilate, size, stride, strict=True))
        yield i, j, x[:, :, rows, columns]


def sign_convolution(x, W, scale, b, stride, pad, dilate):
    return scale[:, None, None] * convolve(
        x, binarize(W), stride, pad, dilate) + b[:, None, None]


def batch_norm(x, gamma, beta, eps):
    axis = (0, *range(2, x.ndim))
    mean = x.mean(axis, dtype=numpy.float64)
    var = x.var(axis, dtype=numpy.float64)
    inv_std = 1 / numpy.sqrt(var + eps)
    mean, var, inv_std = (v.astype(x.dtype) for v in (mean, var, inv_std))
    return normalize(x, gamma, beta, mean, inv_std), mean, var, inv_std


def normalize(x, gamma, beta, mean, inv_std):
    shape = -1, *(1,) * (x.ndim - 2)
    gamma, beta, mean, inv_std = (
        v.reshape(shape) for v in (gamma, beta, mean, inv_std))
    return gamma * ((x - mean) * inv_std) + beta


def batch_norm_gradient(x, gy, gamma, mean, inv_std):
    axis, shape = (0, *range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))
    x_hat = (x - mean.reshape(shape)) * inv_std.reshape(shape)
    gbeta = gy.sum(axis, dtype=numpy.float64).astype(x.dtype)
    ggamma = (gy * x_hat).sum(axis, dtype=numpy.float64).astype(x.dtype)
    m = x.dtype.type(x.size // len(gamma))
    gx = (gamma * inv_std).reshape(shape) * (
        gy - (x_hat * ggamma.reshape(shape) + gbeta.reshape(shape)) / m)
    return gx, ggamma, gbeta


def normalized_signs(x, gamma, beta, eps):
    y, *statistics = batch_norm(x, gamma, beta, eps)
    return binarize(y), *statistics


def normalized_signs_gradient(x, gy, gamma, beta, mean, inv_std):
    h = normalize(x, gamma, beta, mean, inv_std)
    return batch_norm_gradient(
        x, gy * (numpy.abs(h) <= 1), gamma, mean, inv_std)


def normalized_relu(x, gamma, beta, eps):
    y, *statistics = batch_norm(x, gamma, beta, eps)
    return relu(y), *statistics


def normalized_relu_gradient(x, gy, gamma, beta, mean, inv_std):
    h = normalize(x, gamma, beta, mean, inv_std)
    return batch_norm_gradient(
        x, relu_gradient(h, gy), gamma, mean, inv_std)


def moving_averages(running_mean, running_var, mean, var, m, decay):
    running_mean[...] = decay * running_mean + (1 - decay) * mean
    running_var[...] = decay * running_var + (1 - decay) * (
        m / max(m - 1, 1) * var)


def _by_channel(v, x):
    return v.reshape(-1, *(1,) * (x.ndim - 2))


def _sum_of_channels(x):
    return x.sum((0, *range(2, x.ndim)), dtype=numpy.float64).astype(x.dtype)


def shifted_signs(x, alpha):
    return binarize(x - _by_channel(alpha, x))


def shifted_signs_gradient(x, alpha, gy, surrogate):
    gx = {'ste': ste_gradient, 'approx-sign': approx_sign_gradient,
          'swish-sign': swish_sign_gradient}[surrogate](
              x - _by_channel(alpha, x), gy)
    return gx, -_sum_of_channels(gx)


def rprelu(x, gamma, beta, zeta):
    v = x - _by_channel(gamma, x)
    return numpy.where(v >= 0, v, v * _by_channel(beta, x)) + (
        _by_channel(zeta, x))


def rprelu_gradient(x, gamma, beta, gy):
    v = x - _by_channel(gamma, x)
    gx = numpy.where(v >= 0, gy, gy * _by_channel(beta, x))
    return gx, *map(_sum_of_channels, (
        -gx, numpy.where(v >= 0, 0, v * gy), gy))
