"""Loss functions, by name."""
import functools
from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F


def softmax_cross_entropy(y: chainer.Variable, t: Any,
                          label_smoothing: float = 0.) -> chainer.Variable:
    r"""Chainer's softmax cross entropy, with label smoothing if wanted.

    With label smoothing the target of a training is not all of one class:
    :math:`-\sum_k q_k \log p_k` with :math:`q_k = (1 - \epsilon) [k = t] +
    \epsilon / K`, so that no score has to be far from the others
    (`1512.00567 <https://arxiv.org/abs/1512.00567>`_, section 7).  Where
    ``chainer.config.train`` is false there is none.

    Args:
        y: Scores, (batch, classes).
        t (~chainer.Variable or array): Labels, int32 (batch,), from 0 up.
        label_smoothing: :math:`\epsilon`, in [0, 1).

    Returns:
        A scalar, the mean over the batch.
    """
    if label_smoothing and chainer.config.train:
        scores, labels = chainer.as_array(y), chainer.as_array(t)
        xp = chainer.backend.get_array_module(scores)
        t = xp.full_like(scores, label_smoothing / scores.shape[1])
        t[xp.arange(len(labels)), labels] += 1 - label_smoothing
    return F.softmax_cross_entropy(y, t)


def squared_hinge(y: chainer.Variable, t: Any) -> chainer.Variable:
    r"""Squared hinge loss of one class against the rest.

    :math:`\frac{1}{NK} \sum_{nk} \max(0, 1 - \delta_{nk} y_{nk})^2` with
    :math:`\delta = +1` for the class of the example and -1 for the others,
    as BinaryNet's code takes the mean over examples and classes
    (`1602.02830 <https://arxiv.org/abs/1602.02830>`_).

    Args:
        y: Scores, (batch, classes).
        t (~chainer.Variable or array): Labels, int32 (batch,).

    Returns:
        A scalar.
    """
    return F.hinge(y, t, norm='L2') / y.shape[1]


def distillation(y: chainer.Variable, teacher: Any, temperature: float
                 ) -> chainer.Variable:
    r"""How far scores are from those of a teacher, at a temperature.

    :math:`T^2 \, \mathrm{KL}(q \,\|\, p)` with :math:`q =
    \mathrm{softmax}(z / T)` of the teacher's scores z and :math:`p =
    \mathrm{softmax}(y / T)`; its gradient :math:`\frac{T}{N} (p - q)` is
    about as large at any temperature
    (`1503.02531 <https://arxiv.org/abs/1503.02531>`_, section 2).

    Args:
        y: Scores, (batch, classes).
        teacher (array): Scores of the teacher, the same shape, through which
            no gradient goes.
        temperature: T, above 0.

    Returns:
        A scalar, the mean over the batch; 0 where both are of one opinion.
    """
    log_q = F.log_softmax(teacher / temperature).array
    xp = chainer.backend.get_array_module(log_q)
    q = xp.exp(log_q)
    entropy = -(q * log_q).sum() / len(q)
    return temperature ** 2 * (
        F.softmax_cross_entropy(y / temperature, q) - entropy)


LOSSES = {'softmax': softmax_cross_entropy, 'squared-hinge': squared_hinge}


def make(name: str, label_smoothing: float = 0.) -> Callable:
    """Returns a loss function of scores and labels.

    Args:
        name: One of :data:`LOSSES`.
        label_smoothing: See :func:`softmax_cross_entropy`.
    """
    loss = LOSSES[name]
    if label_smoothing:
        return functools.partial(loss, label_smoothing=label_smoothing)
    return loss
