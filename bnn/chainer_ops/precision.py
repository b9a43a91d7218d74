"""Precision of the backward pass: ``chainer.config.precision``.

With ``'float32'`` the operands of its products are multiplied as they are.
With ``'bfloat16'`` NumPy arrays of float32 are rounded to 8 bits first
(:func:`bnn.kernels.reference.round_to_bfloat16`); signs are exact, and sums
are of float32.  It concerns the gradients of
:func:`~function_binary_linear.binary_linear`, of scaled linear layers and of
two-dimensional convolutions, binary and float.
"""
import chainer


def get() -> str:
    """Returns the precision, one of :data:`bnn.kernels.products.PRECISIONS`.

    It is ``'float32'`` where nobody set another, as the training scripts do.
    ``with chainer.using_config('precision', 'bfloat16'):`` sets it for a
    while.
    """
    return getattr(chainer.config, 'precision', 'float32')
