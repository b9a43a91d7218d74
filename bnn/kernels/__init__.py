"""The arithmetic of binary nets on NumPy and CuPy arrays.

:mod:`bnn.kernels.reference` is the definition, in plain NumPy.  The functions
here take an array of either library and run :mod:`bnn.kernels.cpu` or
:mod:`bnn.kernels.gpu`, which agree with the reference.  Arrays only: nothing
here knows Chainer.
"""
import math

import numpy


def _kernels_of(x):
    if x.dtype.kind != 'f':
        raise TypeError(
            'a floating point array is needed, not %s' % x.dtype)
    if isinstance(x, numpy.ndarray):
        from bnn.kernels import cpu
        return cpu
    from bnn.kernels import gpu  # imports CuPy
    return gpu


def binarize(x):
    """Signs of an array, with sign(0) = +1.

    ``y = +1 if x >= 0 else -1``: the deterministic binarization of
    `BinaryNet <https://arxiv.org/abs/1602.02830>`_, Eq. (1), where -0.0
    counts as 0.  NaN gives -1, since it is not >= 0; infinities have a sign.

    Args:
        x (numpy.ndarray or cupy.ndarray): Any shape, any float dtype.

    Returns:
        A new array of +1 and -1, of the shape and dtype of ``x``.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).binarize(x)


def ste_gradient(x, gy, low=-1.0, high=1.0):
    """Gradient of a quantizer by the straight-through estimator.

    ``gx = gy if low <= x <= high else 0``: with [-1, 1] the derivative of
    hard tanh in place of the sign's (`BinaryNet
    <https://arxiv.org/abs/1602.02830>`_, Eq. (4)).  Where ``x`` is NaN or
    outside the gradient is 0, whatever ``gy`` is.

    Args:
        x (numpy.ndarray or cupy.ndarray): Input of the quantizer.
        gy (numpy.ndarray or cupy.ndarray): Gradient of its output, of the
            shape and dtype of ``x``.
        low (float): Least ``x`` that lets the gradient pass.
        high (float): Largest ``x`` that lets the gradient pass.

    Returns:
        A new array of the shape and dtype of ``gy``.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).ste_gradient(x, gy, low, high)


def approx_sign_gradient(x, gy):
    """Gradient of the sign by a quadratic approximation of it.

    ``gx = gy * (2 - 2|x|) if |x| <= 1 else 0``: the derivative of ApproxSign
    (`Bi-Real Net <https://arxiv.org/abs/1808.00278>`_, Eq. (7)).  Arguments,
    return value and errors as of :func:`ste_gradient`.
    """
    return _kernels_of(x).approx_sign_gradient(x, gy)


def swish_sign_gradient(x, gy, beta=5.0):
    r"""Gradient of the sign by the derivative of SwishSign.

    .. math::

        \frac{\partial C}{\partial x} = \frac{\partial C}{\partial y}
        \frac{\beta (2 - \beta x \tanh(\beta x / 2))}{1 + \cosh(\beta x)}

    (`BNN+ <https://arxiv.org/abs/1812.11800>`_, Eqs. (5) and (6)), which is
    negative for large ``|x|``.  From ``|beta x| = 80`` on, where it is below
    1e-31, it is 0, and at NaN.  Arguments, return value and errors as of
    :func:`ste_gradient`; ``beta`` is the steepness.
    """
    return _kernels_of(x).swish_sign_gradient(x, gy, beta)


def stochastic_binarize(x):
    """Random signs: +1 with probability clip((x + 1) / 2, 0, 1), else -1.

    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Eq. (2).)  On the CPU
    the numbers come from NumPy's global generator.  On a GPU they come from a
    counter and two words of that generator, so that its state, which a
    snapshot holds, determines them too.  The resolution is 2^-24.  NaN gives
    -1.

    Args:
        x (numpy.ndarray or cupy.ndarray): Any shape, any float dtype.

    Returns:
        A new array of +1 and -1, of the shape and dtype of ``x``.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).stochastic_binarize(x)


def quantize(x, n, low, high):
    """Rounds to multiples of 1/``n`` in a range.

    ``y = round(clip(x, low, high) * n) / n``, ties to even.  NaN stays NaN.

    Args:
        x (numpy.ndarray or cupy.ndarray): Any shape, any float dtype.
        n (int): Steps in a unit.
        low (float): Least value, a multiple of 1/n.
        high (float): Largest value, a multiple of 1/n.

    Returns:
        A new array of the shape and dtype of ``x``.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).quantize(x, n, low, high)


def clip(x, low, high):
    """Clips an array to [``low``, ``high``], in place.  NaN stays NaN.

    Args:
        x (numpy.ndarray or cupy.ndarray): Array to change, of a float dtype.
        low (float): Least value.
        high (float): Largest value.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    _kernels_of(x).clip(x, low, high)


def adam(x, grad, m, v, alpha, beta1, beta2, eps=1e-8, keep=1., eta=1.,
         low=-math.inf, high=math.inf):
    r"""One update of Adam and a clip, in place, in one pass.

    .. math::

        m &\leftarrow m + (1 - \beta_1)(g - m), \qquad
        v \leftarrow v + (1 - \beta_2)(g^2 - v), \\
        x &\leftarrow \mathrm{clip}\left(\mathrm{keep} \cdot x -
        \eta \frac{\alpha}{\sqrt{v} + \epsilon} m,
        \mathrm{low}, \mathrm{high}\right)

    (`Adam <https://arxiv.org/abs/1412.6980>`_, section 2; in the order of
    Chainer's arithmetic, so that the bits are the same.)  NaN stays NaN.

    Args:
        x (numpy.ndarray): Parameters, float32 or 64, C-contiguous, changed.
        grad (numpy.ndarray): Gradient, of the shape and dtype of ``x``.
        m, v (numpy.ndarray): Moments, as ``x``, changed.
        alpha (float): Learning rate with the bias correction,
            :math:`\alpha \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)`.
        beta1, beta2 (float): Decay rates of the moments.
        eps (float): Added to the root.
        keep (float): 1 less a decoupled weight decay.
        eta (float): Factor on the step.
        low, high (float): Range of the clip; infinite for none.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    _kernels_of(x).adam(
        x, grad, m, v, alpha, beta1, beta2, eps, keep, eta, low, high)
