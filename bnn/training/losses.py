"""Loss functions, by name."""
import chainer.functions as F


def squared_hinge(y, t):
    r"""Squared hinge loss of one class against the rest.

    :math:`\frac{1}{NK} \sum_{nk} \max(0, 1 - \delta_{nk} y_{nk})^2` with
    :math:`\delta = +1` for the class of the example and -1 for the others,
    as BinaryNet's code takes the mean over examples and classes
    (`1602.02830 <https://arxiv.org/abs/1602.02830>`_).

    Args:
        y (~chainer.Variable): Scores, (batch, classes).
        t (~chainer.Variable or array): Labels, int32 (batch,).

    Returns:
        ~chainer.Variable: A scalar.
    """
    return F.hinge(y, t, norm='L2') / y.shape[1]


LOSSES = {'softmax': F.softmax_cross_entropy, 'squared-hinge': squared_hinge}
