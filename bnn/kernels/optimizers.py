"""Adam in one pass over the parameters.  NumPy arrays of float32 or 64."""
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


def _flat(x):
    # A view.  A gradient that is not contiguous is copied.
    return x.reshape(-1)
