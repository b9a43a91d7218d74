"""Copies of what an iteration changes, to go back to."""
from typing import Any

import numpy
from chainer.serializers import npz


def take(target: Any) -> dict[str, numpy.ndarray]:
    """Copies what a link or an optimizer serializes, to the host.

    Args:
        target (~chainer.Link or ~chainer.Optimizer): What to copy.

    Returns:
        Names to arrays, for :func:`restore`.
    """
    return {name: numpy.array(value)
            for name, value in npz.serialize(target).items()}


def restore(target: Any, arrays: dict[str, numpy.ndarray]) -> None:
    """Puts a copy back, into the very arrays.

    Args:
        target (~chainer.Link or ~chainer.Optimizer): What was copied.
        arrays: What :func:`take` returned.
    """
    # What there was not then is left as it is: moments that are None.
    npz.NpzDeserializer(arrays, strict=False).load(target)
