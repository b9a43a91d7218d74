"""The arithmetic of binary nets on NumPy and CuPy arrays.

:mod:`bnn.kernels.reference` is the definition, in plain NumPy.  The functions
here take an array of either library and run :mod:`bnn.kernels.cpu` or
:mod:`bnn.kernels.gpu`, which agree with the reference.  Arrays only: nothing
here knows Chainer.
"""
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


def ste_gradient(x, gy, bound=1.0):
    """Gradient of the sign by the straight-through estimator.

    ``gx = gy if |x| <= bound else 0``, inclusive: the derivative of hard tanh
    in place of the sign's (`BinaryNet <https://arxiv.org/abs/1602.02830>`_,
    Eq. (4)).  Where ``x`` is NaN or infinite the gradient is 0, whatever
    ``gy`` is.

    Args:
        x (numpy.ndarray or cupy.ndarray): Input of the sign.
        gy (numpy.ndarray or cupy.ndarray): Gradient of its output, of the
            shape and dtype of ``x``.
        bound (float): Largest ``|x|`` that lets the gradient pass.

    Returns:
        A new array of the shape and dtype of ``gy``.

    Raises:
        TypeError: If ``x`` is not of a floating point dtype.
    """
    return _kernels_of(x).ste_gradient(x, gy, bound)


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
