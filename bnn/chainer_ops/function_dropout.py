"""Dropout of NumPy arrays, in one pass and without a mask in memory."""
from __future__ import annotations

import chainer
import chainer.functions as F
import numpy
from chainer import function_node
from chainer.utils import type_check

from bnn.kernels import elementwise


class Dropout(function_node.FunctionNode):
    """Drops what a key determines; see :func:`dropout`.

    Its gradient drops the same elements.
    """

    def __init__(self, ratio: float,
                 key: tuple[numpy.uint32, numpy.uint32]):
        super().__init__()
        self.ratio = ratio
        self._key = key

    def check_type_forward(self, in_types):
        type_check._argname(in_types, ('x',))
        type_check.expect(in_types[0].dtype.kind == 'f')

    def forward_cpu(self, inputs):
        self.retain_inputs(())
        x, = inputs
        return elementwise.dropout(x, self.ratio, self._key),

    def backward(self, indexes, grad_outputs):
        return Dropout(self.ratio, self._key).apply(grad_outputs)


def dropout(x: chainer.Variable | numpy.ndarray,
            ratio: float = .5) -> chainer.Variable:
    r"""Drops elements at random while ``chainer.config.train`` is on.

    .. math::

        y_i = m_i x_i, \qquad
        m_i = \begin{cases} 0 & \text{with probability } r \\
        1 / (1 - r) & \text{else} \end{cases}

    (`1207.0580 <https://arxiv.org/abs/1207.0580>`_), as
    :func:`chainer.functions.dropout` has it.  Of NumPy arrays of float32 and
    64 the elements are chosen by
    :func:`~bnn.kernels.elementwise.dropout`, whose key comes from NumPy's
    global generator; the gradient chooses them anew by the same key.  Others
    are left to Chainer.

    Args:
        x: Any shape, of a float dtype.
        ratio: Probability of being dropped, in [0, 1).

    Returns:
        Of the shape and dtype of ``x``; in test mode ``x`` itself.

    Raises:
        ValueError: In training, if ``ratio`` is outside [0, 1).
        chainer.utils.type_check.InvalidType: In training, if ``x`` is not of
            a floating point dtype.
    """
    array = chainer.as_array(x)
    if (not chainer.config.train or not 0 <= ratio < 1
            or type(array) is not numpy.ndarray
            or array.dtype not in (numpy.float32, numpy.float64)):
        return F.dropout(x, ratio)
    return Dropout(ratio, elementwise.draw_key()).apply((x,))[0]
