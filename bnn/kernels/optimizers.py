"""Updates of the optimizers, in one pass over the parameters.

NumPy arrays of float32 or 64.
"""
import numba
import numpy

from bnn.kernels import threads


def adam(x: numpy.ndarray, grad: numpy.ndarray, m: numpy.ndarray,
         v: numpy.ndarray, alpha: float, beta1: float, beta2: float,
         eps: float = 1e-8, keep: float = 1., eta: float = 1.) -> None:
    r"""Makes one update of Adam, in place.

    .. math::

        m &\leftarrow m + (1 - \beta_1)(g - m), \qquad
        v \leftarrow v + (1 - \beta_2)(g^2 - v), \\
        x &\leftarrow \mathrm{keep} \cdot x -
        \eta \frac{\alpha}{\sqrt{v} + \epsilon} m

    (`Adam <https://arxiv.org/abs/1412.6980>`_, section 2.)  The operations
    are in Chainer's order, so that the bits are Chainer's.

    Args:
        x: Parameters, float32 or 64, C-contiguous; changed.
        grad: Gradient, of the shape and dtype of ``x``.
        m: First moments, as ``x``; changed.
        v: Second moments, as ``x``; changed.
        alpha: Learning rate with the bias correction,
            :math:`\alpha \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)`.
        beta1: Decay rate of the first moments.
        beta2: Decay rate of the second moments.
        eps: Added to the root.
        keep: 1 less a decoupled weight decay.
        eta: Factor on the step.
    """
    scalar = x.dtype.type
    _adam(x.size, *map(_flat, (x, grad, m, v)), scalar(alpha),
          scalar(1 - beta1), scalar(1 - beta2), scalar(eps), scalar(keep),
          scalar(eta))


@threads.Kernel
def _adam(x, grad, m, v, alpha, rate1, rate2, eps, keep, eta):
    for i in numba.prange(x.size):
        g = grad[i]
        m[i] += rate1 * (g - m[i])
        v[i] += rate2 * (g * g - v[i])
        x[i] = keep * x[i] - eta * (alpha / (numpy.sqrt(v[i]) + eps) * m[i])


def momentum_sgd(x: numpy.ndarray, grad: numpy.ndarray, v: numpy.ndarray,
                 lr: float, momentum: float) -> None:
    r"""Makes one update of SGD with momentum, in place.

    .. math::

        v \leftarrow \mathrm{momentum} \cdot v - \mathrm{lr} \cdot g, \qquad
        x \leftarrow x + v

    The operations are in Chainer's order, so that the bits are Chainer's.

    Args:
        x: Parameters, float32 or 64, C-contiguous; changed.
        grad: Gradient, of the shape and dtype of ``x``.
        v: Velocity, as ``x``; changed.
        lr: Learning rate.
        momentum: Share of the velocity that stays.
    """
    scalar = x.dtype.type
    _momentum_sgd(x.size, *map(_flat, (x, grad, v)), scalar(lr),
                  scalar(momentum))


@threads.Kernel
def _momentum_sgd(x, grad, v, lr, momentum):
    for i in numba.prange(x.size):
        v[i] = momentum * v[i] - lr * grad[i]
        x[i] += v[i]


def _flat(x):
    # A view.  A gradient that is not contiguous is copied.
    return x.reshape(-1)
