"""Loss functions, by name."""
import functools

import chainer
import chainer.functions as F
from chainer import function_node

from bnn.kernels import gpu_losses


class SoftmaxCrossEntropy(function_node.FunctionNode):

    """Softmax cross entropy in one launch, on a GPU.

    See :func:`softmax_cross_entropy`, which checks the types.
    """

    def __init__(self, smoothing):
        super().__init__()
        self._smoothing = smoothing

    def forward(self, inputs):
        y, self._t = inputs
        self._softmax, self._results = gpu_losses.cross_entropy(
            *inputs, self._smoothing)
        return self._results[:1].reshape(()),

    def backward(self, indexes, grad_outputs):
        gloss, = grad_outputs
        return _Gradient(
            self._smoothing, self._softmax, self._t, self._results).apply(
                (gloss,))[0], None


class _Gradient(function_node.FunctionNode):

    def __init__(self, smoothing, *arrays):
        super().__init__()
        self._smoothing = smoothing
        self._arrays = arrays

    def forward(self, inputs):
        return gpu_losses.cross_entropy_gradient(
            *self._arrays, *inputs, self._smoothing),

    def backward(self, indexes, grad_outputs):
        raise RuntimeError(
            'double backward through softmax_cross_entropy is not supported')


def softmax_cross_entropy(y, t, label_smoothing=0.):
    r"""Chainer's softmax cross entropy, on a GPU in one launch.

    With label smoothing the target of a training is not all of one class:
    :math:`-\sum_k q_k \log p_k` with :math:`q_k = (1 - \epsilon) [k = t] +
    \epsilon / K`, so that no score has to be far from the others
    (`1512.00567 <https://arxiv.org/abs/1512.00567>`_, section 7).  Where
    ``chainer.config.train`` is false there is none.

    Args:
        y (~chainer.Variable): Scores, (batch, classes).
        t (~chainer.Variable or array): Labels, int32 (batch,), from 0 up.
        label_smoothing (float): :math:`\epsilon`, in [0, 1).

    Returns:
        ~chainer.Variable: A scalar, the mean over the batch.
    """
    smoothing = label_smoothing if chainer.config.train else 0.
    arrays = chainer.as_array(y), chainer.as_array(t)
    if (gpu_losses.takes(*arrays) and len(arrays[0]) == len(arrays[1])
            and not chainer.is_debug()):
        return SoftmaxCrossEntropy(smoothing).apply((y, t))[0]
    if smoothing:
        t = _soft_targets(*arrays, smoothing)
    return F.softmax_cross_entropy(y, t)


def _soft_targets(y, t, smoothing):
    """Returns the shares of the classes in each target, shaped as ``y``."""
    xp = chainer.backend.get_array_module(y)
    targets = xp.full_like(y, smoothing / y.shape[1])
    targets[xp.arange(len(t)), t] += 1 - smoothing
    return targets


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


LOSSES = {'softmax': softmax_cross_entropy, 'squared-hinge': squared_hinge}


def make(args):
    """Returns the loss function that the options describe.

    Args:
        args (argparse.Namespace): ``loss`` and ``label_smoothing``.

    Returns:
        callable: Of scores and labels, see :func:`softmax_cross_entropy`.
    """
    loss = LOSSES[args.loss]
    if args.label_smoothing:
        return functools.partial(loss, label_smoothing=args.label_smoothing)
    return loss
