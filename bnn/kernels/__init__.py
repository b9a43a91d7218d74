"""The arithmetic of binary nets on NumPy and CuPy arrays.

:mod:`bnn.kernels.reference` is the definition, in plain NumPy.  The functions
here take an array of either library and run :mod:`bnn.kernels.cpu` or
:mod:`bnn.kernels.gpu`, which agree with the reference.  Arrays only: nothing
here knows Chainer.
"""
import math

import numpy

from bnn.kernels import gpu_random


def arrange(bits):
    """Arranges packed rows for :func:`xnor_product`, to be used many times.

    Args:
        bits (numpy.ndarray or cupy.ndarray): Packed rows, see :func:`pack`.

    Returns:
        What :func:`xnor_product` takes for ``b``.
    """
    if isinstance(bits, numpy.ndarray):
        from bnn.kernels import cpu
        return cpu.Columns(bits)
    return bits


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
    1e-31, it is 0, and at NaN.  On the CPU the factor of ``gy`` is within
    4 ``beta`` eps of it, in float32 and 64.  Arguments, return value and
    errors as of :func:`ste_gradient`; ``beta`` is the steepness, positive.
    """
    return _kernels_of(x).swish_sign_gradient(x, gy, beta)


def stochastic_binarize(x):
    """Random signs: +1 with probability clip((x + 1) / 2, 0, 1), else -1.

    (`BinaryNet <https://arxiv.org/abs/1602.02830>`_, Eq. (2).)  On the CPU
    the numbers come from NumPy's global generator.  On a GPU they come from a
    counter and two words of that generator, so that its state, which a
    snapshot holds, determines them too; in an iteration that has a
    :class:`~bnn.kernels.gpu_random.Source`, from that.  The resolution is
    2^-24.  NaN gives -1.

    Args:
        x (numpy.ndarray or cupy.ndarray): Any shape, any float dtype.

    Returns:
        A new array of +1 and -1, of the shape and dtype of ``x``.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    kernels = _kernels_of(x)
    source = gpu_random.current()
    return (kernels.stochastic_binarize(x) if source is None
            else source.signs(x))


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


def momentum_sgd(x, grad, v, lr, momentum, low=-math.inf, high=math.inf):
    r"""One update of SGD with momentum and a clip, in place, in one pass.

    .. math::

        v \leftarrow \mathrm{momentum} \cdot v - \mathrm{lr} \cdot g, \qquad
        x \leftarrow \mathrm{clip}(x + v, \mathrm{low}, \mathrm{high})

    (in the order of Chainer's arithmetic, so that the bits are the same.)
    NaN stays NaN.

    Args:
        x (numpy.ndarray or cupy.ndarray): Parameters, float32 or 64,
            C-contiguous, changed.
        grad (numpy.ndarray or cupy.ndarray): Gradient, as ``x``.
        v (numpy.ndarray or cupy.ndarray): Velocity, as ``x``, changed.
        lr (float): Learning rate.
        momentum (float): Share of the velocity that stays.
        low, high (float): Range of the clip; infinite for none.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    _kernels_of(x).momentum_sgd(x, grad, v, lr, momentum, low, high)


def pack(x):
    """Packs the signs of the last axis, 32 in a word.

    Bit ``i`` of word ``j`` is ``x[..., 32 j + i] >= 0``, so that sign(0) is
    +1 and NaN gives 0, as in :func:`binarize`; bits past the end are 0.

    Args:
        x (numpy.ndarray or cupy.ndarray): (..., k), any float dtype.

    Returns:
        uint32 (..., ceil(k / 32)).

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).pack(x)


def xnor_product(a, b, k):
    """Matrix product of packed signs.

    ``y[i, j] = k - 2 popcount(a[i] xor b[j])``, which is the sum of ``k``
    products of +-1 (`XNOR-Net <https://arxiv.org/abs/1603.05279>`_, section
    3.2).  Exact for k < 2^24.

    Args:
        a (numpy.ndarray or cupy.ndarray): Packed rows, uint32 (m, words).
        b (numpy.ndarray or cupy.ndarray): Packed rows, uint32 (n, words), or
            what :func:`arrange` made of them.
        k (int): Signs in a row.

    Returns:
        float32 (m, n).
    """
    if isinstance(a, numpy.ndarray):
        from bnn.kernels import cpu as module
    else:
        from bnn.kernels import gpu as module
    return module.xnor_product(a, b, k)



def sign_product(x, W):
    """Product of +-1 and the signs of a matrix, ``x sign(W)^T``.

    On the CPU by :func:`xnor_product` from a number of multiplications on
    that the benchmark of the kernels gave, else by the BLAS.  Both are exact,
    so the results are the same, bit for bit.

    Args:
        x (numpy.ndarray or cupy.ndarray): +1 and -1 alone, (m, k); any float
            dtype.
        W (numpy.ndarray or cupy.ndarray): Numbers whose signs count, (n, k),
            of the dtype of ``x``.

    Returns:
        (m, n), of the dtype of ``x``.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).sign_product(x, W)


def weight_gradient(gy, x):
    """Multiplies the gradient of an output by the input: ``gy^T x``.

    Where ``x`` has 8-bit numbers, as pixels are, on a processor with a matrix
    unit by that: see :mod:`bnn.kernels.cpu_tiles`.

    Args:
        gy (numpy.ndarray or cupy.ndarray): (m, n), any float dtype.
        x (numpy.ndarray or cupy.ndarray): (m, k), of that dtype.

    Returns:
        (n, k), of that dtype.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).weight_gradient(gy, x)



def max_pool(x, ksize, stride, out_size):
    """Largest value of each window, and where it stands.

    Of equal values the first, and the first NaN before all.  A window that
    reaches over the edge has what is inside.

    Args:
        x (numpy.ndarray): (batch, channels, h, w), float32 or 64.
        ksize, stride (pair of ints): Size and distance of windows, (h, w).
        out_size (pair of ints): How many there are, each with a pixel in it.

    Returns:
        tuple: (batch, channels, h_out, w_out) of the dtype of ``x``, and the
        places in the image, ``row * w + column``, int32 of that shape.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).max_pool(x, ksize, stride, out_size)


def max_pool_gradient(gy, where, size):
    """Gradient of :func:`max_pool`.

    Args:
        gy (numpy.ndarray): Gradient of its result.
        where (numpy.ndarray): The places that it returned.
        size (pair of ints): Of the images, (h, w).

    Returns:
        numpy.ndarray: (batch, channels, h, w), of the dtype of ``gy``.

    Raises:
        TypeError: If ``gy`` is not of a floating point dtype.
    """
    return _kernels_of(gy).max_pool_gradient(gy, where, size)


def batch_norm(x, gamma, beta, eps, sign=False):
    r"""Batch normalization, with the sign if wanted, in two passes.

    .. math::

        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    with the mean and the biased variance of each channel (`1502.03167
    <https://arxiv.org/abs/1502.03167>`_, Algorithm 1), summed in float64.

    Args:
        x (numpy.ndarray or cupy.ndarray): (n, channels, ...), float32 or 64,
            not empty.
        gamma, beta (array): (channels,), of the dtype of ``x``.
        eps (float): Added to the variance.
        sign (bool): Whether the result is :func:`binarize` of ``y``.

    Returns:
        tuple: The result, of the shape and dtype of ``x``; mean, variance
        and reciprocal of the deviation, (channels,).

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).batch_norm(x, gamma, beta, eps, sign)


def normalize(x, gamma, beta, mean, inv_std, sign=False):
    r"""Batch normalization by given statistics, in one pass.

    ``y = gamma * ((x - mean) * inv_std) + beta``, or its sign.  Arguments,
    result and errors as of :func:`batch_norm`, of which it has the bits.
    """
    return _kernels_of(x).normalize(x, gamma, beta, mean, inv_std, sign)


def batch_norm_gradient(x, gy, gamma, beta, mean, inv_std, sign=False):
    r"""Gradients of :func:`batch_norm`, in two passes.

    .. math::

        g_\beta = \sum g, \quad g_\gamma = \sum g \hat{x}, \quad
        g_x = \frac{\gamma}{\sigma} \left(g -
        \frac{\hat{x} g_\gamma + g_\beta}{m}\right)

    over the ``m`` values of a channel, where ``g`` is ``gy``, or with
    ``sign`` :func:`ste_gradient` of it.

    Args:
        x, gamma, beta (array): Of the forward computation.
        gy (array): Gradient of its result.
        mean, inv_std (array): What it returned.
        sign (bool): Whether it binarized.

    Returns:
        tuple: Gradients of ``x``, ``gamma`` and ``beta``.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).batch_norm_gradient(
        x, gy, gamma, beta, mean, inv_std, sign)


def moving_averages(running_mean, running_var, mean, var, m, decay):
    r"""Updates moving averages of statistics, in place.

    ``running = decay * running + (1 - decay) * new``, where the new variance
    is the unbiased one, ``m / (m - 1) * var``, as Chainer has it.

    Args:
        running_mean, running_var (numpy.ndarray or cupy.ndarray):
            (channels,), float32 or 64, changed.
        mean, var (array): Of :func:`batch_norm`.
        m (int): Values in a channel.
        decay (float): Share of the old average that stays.

    Raises:
        TypeError: If ``running_mean`` is not of a floating point dtype.
    """
    _kernels_of(running_mean).moving_averages(
        running_mean, running_var, mean, var, m, decay)


def __getattr__(name):
    """Finds the kernels of packed nets, which are for NumPy arrays alone.

    ``Perceptron``, ``BitConvolution``, ``pack_channels`` and
    ``unpack_channels``, see :mod:`bnn.kernels.cpu_perceptron` and
    :mod:`bnn.kernels.cpu_bit_images`.
    """
    if name == 'Perceptron':
        from bnn.kernels import cpu_perceptron as module
    elif name in ('BitConvolution', 'pack_channels', 'unpack_channels'):
        from bnn.kernels import cpu_bit_images as module
    else:
        raise AttributeError(name)
    return getattr(module, name)
