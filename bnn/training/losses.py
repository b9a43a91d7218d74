"""Loss functions, by name."""
import chainer
import chainer.functions as F
from chainer import function_node

from bnn.kernels import gpu_losses


class SoftmaxCrossEntropy(function_node.FunctionNode):

    """Softmax cross entropy in one launch, on a GPU.

    See :func:`softmax_cross_entropy`, which checks the types.
    """

    def forward(self, inputs):
        y, self._t = inputs
        self._softmax, self._results = gpu_losses.cross_entropy(*inputs)
        return self._results[:1].reshape(()),

    def backward(self, indexes, grad_outputs):
        gloss, = grad_outputs
        return _Gradient(self._softmax, self._t, self._results).apply(
            (gloss,))[0], None


class _Gradient(function_node.FunctionNode):

    def __init__(self, *arrays):
        super().__init__()
        self._arrays = arrays

    def forward(self, inputs):
        return gpu_losses.cross_entropy_gradient(*self._arrays, *inputs),

    def backward(self, indexes, grad_outputs):
        raise RuntimeError(
            'double backward through softmax_cross_entropy is not supported')


def softmax_cross_entropy(y, t):
    """Chainer's softmax cross entropy, on a GPU in one launch.

    Args:
        y (~chainer.Variable): Scores, (batch, classes).
        t (~chainer.Variable or array): Labels, int32 (batch,).

    Returns:
        ~chainer.Variable: A scalar, the mean over the batch.
    """
    arrays = chainer.as_array(y), chainer.as_array(t)
    if (gpu_losses.takes(*arrays) and len(arrays[0]) == len(arrays[1])
            and not chainer.is_debug()):
        return SoftmaxCrossEntropy().apply((y, t))[0]
    return F.softmax_cross_entropy(y, t)


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
