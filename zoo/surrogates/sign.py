"""The sign operations by their names."""
import chainer

import bst
from zoo.surrogates import approx_sign
from zoo.surrogates import swish_sign

#: Names of surrogate gradients to sign operations.
SIGNS = {
    'ste': bst.bst,
    'approx-sign': approx_sign.approx_sign,
    'swish-sign': swish_sign.swish_sign,
}


def sign(x, surrogate: str = 'ste') -> chainer.Variable:
    """Binary activation with a surrogate gradient of choice.

    Args:
        x (~chainer.Variable or array): Any shape; float16, 32 or 64.
        surrogate (str): What stands for the derivative of the sign:
            ``'ste'``, :func:`bst.bst`; ``'approx-sign'``,
            :func:`~zoo.surrogates.approx_sign.approx_sign`;
            ``'swish-sign'``, :func:`~zoo.surrogates.swish_sign.swish_sign`.

    Returns:
        ~chainer.Variable: +1 and -1, of the shape and dtype of ``x``.

    Raises:
        ValueError: If there is no such surrogate.
        chainer.utils.type_check.InvalidType: If ``x`` is not of a floating
            point dtype.
    """
    if surrogate not in SIGNS:
        raise ValueError(f'no surrogate gradient {surrogate!r}; '
                         f'there are: {", ".join(SIGNS)}')
    return SIGNS[surrogate](x)
