"""Functions of each element: signs, quantizers, their gradients, clip, ReLU.

NumPy and CuPy arrays of any shape and float dtype; ReLU: NumPy alone;
:func:`dropout` takes less.  Gradients and values are new arrays;
:func:`clip` works in place.  NumPy arrays other than float32 and 64 are
computed by the definitions of :mod:`bnn.kernels.reference`.  TypeError is
raised where ``x`` is not of a floating point dtype.

On a GPU float32 numbers below 2^-126 count as 0, which is how CuPy compiles.
"""
from __future__ import annotations

import typing

import numba
import numpy

from bnn.kernels import reference
from bnn.kernels import threads

_uint32 = numpy.uint32

if typing.TYPE_CHECKING:
    import cupy

    Array: typing.TypeAlias = numpy.ndarray | cupy.ndarray


def binarize(x: Array) -> Array:
    """Computes the signs of an array, with sign(0) = +1.

    ``y = +1 if x >= 0 else -1``, the deterministic binarization of
    `BinaryNet <https://arxiv.org/abs/1602.02830>`_, Eq. (1).  -0.0 counts as
    0.  NaN gives -1, since it is not >= 0.

    Args:
        x: Any shape, any float dtype.

    Returns:
        +1 and -1, of the shape and dtype of ``x``.
    """
    if not _is_numpy(x):
        return _gpu().binarize(x)
    if _is_compiled(x):
        y = numpy.empty(x.shape, x.dtype)
        _binarize(x.size, _flat(x), y.reshape(-1))
        return y
    return _by_definition(reference.binarize, x)


@threads.Kernel
def _binarize(x, y):
    one = x.dtype.type(1)
    for i in numba.prange(x.size):
        y[i] = one if x[i] >= 0 else -one


def ste_gradient(x: Array, gy: Array, low: float = -1.,
                 high: float = 1.) -> Array:
    """Computes the straight-through gradient of a quantizer.

    ``gx = gy if low <= x <= high else 0``.  With [-1, 1] it puts the
    derivative of hard tanh in place of the sign's (`BinaryNet
    <https://arxiv.org/abs/1602.02830>`_, Eq. (4)).  Where ``x`` is NaN or
    outside, the gradient is 0, whatever ``gy`` is.

    Args:
        x: Input of the quantizer.
        gy: Gradient of its output, of the shape and dtype of ``x``.
        low: Least ``x`` that lets the gradient pass.
        high: Largest ``x`` that lets the gradient pass.

    Returns:
        Of the shape and dtype of ``gy``.
    """
    if not _is_numpy(x):
        return _gpu().ste_gradient(x, gy, low, high)
    if _is_compiled(x) and gy.dtype == x.dtype:
        gx = numpy.empty(gy.shape, gy.dtype)
        scalar = x.dtype.type
        _ste_gradient(x.size, _flat(x), _flat(gy), gx.reshape(-1),
                      scalar(low), scalar(high))
        return gx
    return _by_definition(reference.ste_gradient, x, gy, low, high)


@threads.Kernel
def _ste_gradient(x, gy, gx, low, high):
    for i in numba.prange(x.size):
        gx[i] = gy[i] if low <= x[i] <= high else 0


def approx_sign_gradient(x: Array, gy: Array) -> Array:
    """Computes the gradient of the sign by a quadratic approximation.

    ``gx = gy * (2 - 2|x|) if |x| <= 1 else 0``, the derivative of ApproxSign
    (`Bi-Real Net <https://arxiv.org/abs/1808.00278>`_, Eq. (7)).

    Args:
        x: Input of the sign.
        gy: Gradient of its output, of the shape and dtype of ``x``.

    Returns:
        Of the shape and dtype of ``gy``.
    """
    if not _is_numpy(x):
        return _gpu().approx_sign_gradient(x, gy)
    if _is_compiled(x) and gy.dtype == x.dtype:
        gx = numpy.empty(gy.shape, gy.dtype)
        _approx_sign_gradient(x.size, _flat(x), _flat(gy), gx.reshape(-1))
        return gx
    return _by_definition(reference.approx_sign_gradient, x, gy)


@threads.Kernel
def _approx_sign_gradient(x, gy, gx):
    for i in numba.prange(x.size):
        size = abs(x[i])
        gx[i] = gy[i] * approx_sign_slope(size) if size <= 1 else 0


@numba.njit(inline='always', error_model='numpy')
def approx_sign_slope(size):
    """Computes ``2 - 2|x|``, for kernels."""
    two = type(size)(2)
    return two - two * size


#: beta where it is not given
SWISH_BETA = 5.


def swish_sign_gradient(x: Array, gy: Array,
                        beta: float = SWISH_BETA) -> Array:
    r"""Computes the gradient of the sign by the derivative of SwishSign.

    .. math::

        \frac{\partial C}{\partial x} = \frac{\partial C}{\partial y}
        \frac{\beta (2 - \beta x \tanh(\beta x / 2))}{1 + \cosh(\beta x)}

    (`BNN+ <https://arxiv.org/abs/1812.11800>`_, Eqs. (5) and (6)), which is
    negative for large ``|x|``.  From ``|beta x| = 80`` on it is below 1e-31
    and computed as 0.  At NaN it is 0.  On the CPU the factor of ``gy`` is
    within 4 ``beta`` eps of this, in float32 and 64.

    Args:
        x: Input of the sign.
        gy: Gradient of its output, of the shape and dtype of ``x``.
        beta: The steepness, positive.

    Returns:
        Of the shape and dtype of ``gy``.
    """
    if not _is_numpy(x):
        return _gpu().swish_sign_gradient(x, gy, beta)
    if _is_compiled(x) and gy.dtype == x.dtype:
        gx = numpy.empty(gy.shape, gy.dtype)
        e = numpy.abs(_flat(x))
        with numpy.errstate(all='ignore'):
            e *= -beta
            numpy.exp(e, out=e)  # uses vectors, unlike Numba's
        _swish_sign_gradient(x.size, _flat(x), _flat(gy), e, gx.reshape(-1),
                             x.dtype.type(beta))
        return gx
    return _by_definition(reference.swish_sign_gradient, x, gy, beta)


@threads.Kernel
def _swish_sign_gradient(x, gy, e, gx, beta):
    for i in numba.prange(x.size):
        z = abs(beta * x[i])
        gx[i] = gy[i] * swish_sign_slope(z, e[i], beta) if z < 80 else 0


@numba.njit(inline='always', error_model='numpy')
def swish_sign_slope(z, e, beta):
    """Computes the derivative of SwishSign at ``z = |beta x|``, for kernels.

    With e = exp(-z) nothing is large: tanh(z / 2) = (1 - e) / (1 + e) and
    1 + cosh(z) = (1 + e)^2 / (2 e).
    """
    one, two = type(z)(1), type(z)(2)
    f = one + e
    return two * beta * e * (two + (two + z) * e - z) / (f * f * f)


def draw_key() -> tuple[numpy.uint32, numpy.uint32]:
    """Draws two words of NumPy's global generator.

    They determine the random numbers of :func:`stochastic_binarize` and
    :func:`dropout`: the number of each element is hashed with them, whatever
    the number of threads.  So the state of the generator, which a snapshot
    holds, determines them too, on a GPU as well.

    Returns:
        The key.
    """
    return tuple(numpy.random.randint(0, 1 << 32, 2, numpy.uint32))


@numba.njit(inline='always', error_model='numpy')
def _random_word(i, a, b):
    return _mix(_mix(_uint32(i) ^ a) ^ b)


@numba.njit(inline='always', error_model='numpy')
def _mix(s):
    # Each result is cut to 32 bits, since Numba computes with 64.
    s = _uint32(s * _uint32(747796405) + _uint32(2891336453))
    s = _uint32((s >> ((s >> _uint32(28)) + _uint32(4))) ^ s)
    s = _uint32(s * _uint32(277803737))
    return _uint32((s >> _uint32(22)) ^ s)


def stochastic_binarize(
        x: Array, key: tuple[numpy.uint32, numpy.uint32]) -> Array:
    """Draws signs: +1 with probability clip((x + 1) / 2, 0, 1), else -1.

    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Eq. (2).)  The
    resolution of the probability is 2^-24.  NaN gives -1.

    Args:
        x: Any shape, any float dtype.
        key: From :func:`draw_key`.

    Returns:
        +1 and -1, of the shape and dtype of ``x``; with the same key the
        same ones on the CPU and on a GPU.
    """
    if not _is_numpy(x):
        return _gpu().stochastic_binarize(x, *key)
    if _is_compiled(x):
        y = numpy.empty(x.shape, x.dtype)
        _stochastic_binarize(x.size, _flat(x), *key, y.reshape(-1))
        return y
    return _by_definition(reference.stochastic_binarize, x, key)


@threads.Kernel
def _stochastic_binarize(x, a, b, y):
    one, half = x.dtype.type(1), x.dtype.type(.5)
    unit = numpy.float32(2 ** -24)
    for i in numba.prange(x.size):
        # 24 bits are exact in float32; rounding up to 1 would break p = 1.
        bits = numba.int32(_random_word(i, a, b) >> _uint32(8))
        u = numpy.float32(bits) * unit
        y[i] = one if u < (x[i] + one) * half else -one


def dropout(x: numpy.ndarray, ratio: float,
            key: tuple[numpy.uint32, numpy.uint32]) -> numpy.ndarray:
    """Multiplies each element by 0 or 1 / (1 - ``ratio``), at random.

    It is its own gradient: with the same key it drops the same elements.

    Args:
        x: NumPy array of any shape, float32 or 64.
        ratio: Probability of 0, in [0, 1); its resolution is 2^-32.
        key: From :func:`draw_key`.

    Returns:
        Of the shape and dtype of ``x``.
    """
    y = numpy.empty(x.shape, x.dtype)
    _dropout(x.size, _flat(x), *key,
             numpy.uint32(min(round(ratio * 2 ** 32), 2 ** 32 - 1)),
             x.dtype.type(1 / (1 - ratio)), y.reshape(-1))
    return y


@threads.Kernel
def _dropout(x, a, b, least, scale, y):
    zero = x.dtype.type(0)
    for i in numba.prange(x.size):
        y[i] = x[i] * (scale if _random_word(i, a, b) >= least else zero)


def quantize(x: Array, n: int, low: float, high: float) -> Array:
    """Rounds to multiples of 1/``n`` in a range.

    ``y = round(clip(x, low, high) * n) / n``, ties to even.  NaN stays NaN.

    Args:
        x: Any shape, any float dtype.
        n: Steps in a unit.
        low: Least value, a multiple of 1/n.
        high: Largest value, a multiple of 1/n.

    Returns:
        Of the shape and dtype of ``x``.
    """
    if not _is_numpy(x):
        return _gpu().quantize(x, n, low, high)
    if _is_compiled(x):
        y = numpy.empty(x.shape, x.dtype)
        scalar = x.dtype.type
        _quantize(x.size, _flat(x), y.reshape(-1), scalar(n), scalar(low),
                  scalar(high))
        return y
    return _by_definition(reference.quantize, x, n, low, high)


@threads.Kernel
def _quantize(x, y, n, low, high):
    for i in numba.prange(x.size):
        # low of -0.0 where low is 0.0, as numpy.clip
        v = low if x[i] <= low else (high if x[i] >= high else x[i])
        y[i] = numpy.rint(v * n) / n


def clip(x: Array, low: float, high: float) -> None:
    """Clips an array to [``low``, ``high``], in place.  NaN stays NaN.

    Args:
        x: Array to change, of any shape and float dtype.
        low: Least value.
        high: Largest value.
    """
    if not _is_numpy(x):
        _gpu().clip(x, low, high)
    elif _is_compiled(x) and x.flags.c_contiguous:
        scalar = x.dtype.type
        _clip(x.size, x.reshape(-1), scalar(low), scalar(high))
    else:
        reference.clip(x, low, high)


@threads.Kernel
def _clip(x, low, high):
    for i in numba.prange(x.size):
        x[i] = low if x[i] < low else (high if x[i] > high else x[i])


def relu(x: numpy.ndarray) -> numpy.ndarray:
    """Computes ``max(x, 0)``.  NaN stays NaN.

    Args:
        x: Any shape, any float dtype.

    Returns:
        Of the shape and dtype of ``x``.
    """
    if _is_numpy(x) and _is_compiled(x):
        y = numpy.empty(x.shape, x.dtype)
        _relu(x.size, _flat(x), y.reshape(-1))
        return y
    return _by_definition(reference.relu, x)


@threads.Kernel
def _relu(x, y):
    for i in numba.prange(x.size):
        y[i] = 0 if x[i] <= 0 else x[i]


def relu_gradient(y: numpy.ndarray, gy: numpy.ndarray) -> numpy.ndarray:
    """Computes the gradient of :func:`relu` from its result.

    ``gx = gy * (y > 0)``.  As in Chainer it is a product: where ``y`` is not
    positive, NaN and infinite ``gy`` give NaN.

    Args:
        y: Result of the forward computation.
        gy: Gradient of it, of the shape and dtype of ``y``.

    Returns:
        Of the shape and dtype of ``gy``.
    """
    if _is_numpy(y) and _is_compiled(y) and gy.dtype == y.dtype:
        gx = numpy.empty(gy.shape, gy.dtype)
        _relu_gradient(y.size, _flat(y), _flat(gy), gx.reshape(-1))
        return gx
    return _by_definition(reference.relu_gradient, y, gy)


@threads.Kernel
def _relu_gradient(y, gy, gx):
    zero, one = gy.dtype.type(0), gy.dtype.type(1)
    for i in numba.prange(y.size):
        gx[i] = gy[i] * (one if y[i] > 0 else zero)


def _is_numpy(x):
    if x.dtype.kind != 'f':
        raise TypeError(f'a floating point array is needed, not {x.dtype}')
    return isinstance(x, numpy.ndarray)


def _gpu():
    from bnn.kernels import gpu  # imports CuPy
    return gpu


def _is_compiled(x):
    return x.dtype in _COMPILED  # the native byte order alone


def _by_definition(function, x, *args):
    with numpy.errstate(all='ignore'):
        # Without dimensions the result is a scalar.
        return numpy.asarray(function(x, *args), x.dtype)


_COMPILED = numpy.dtype('f'), numpy.dtype('d')


def _flat(x):
    # A view, or a copy of what is not contiguous
    return numpy.ascontiguousarray(x).reshape(-1)
