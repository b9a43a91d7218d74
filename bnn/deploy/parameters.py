"""The parameters of operations: checked, counted, packed."""
import dataclasses

import numpy

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import packed


def check(operation):
    """Raises UserError for an operation that holds NaN or infinity."""
    for field in dataclasses.fields(operation):
        value = getattr(operation, field.name)
        parts = [value]
        if isinstance(value, operations.Weights):
            parts = [value.values, value.scale]
        for part in parts:
            if isinstance(part, (numpy.ndarray, numpy.floating)) and not (
                    numpy.isfinite(part).all()):
                raise errors.UserError(
                    '%s cannot be packed: its %s is NaN or infinite' % (
                        operation.name, field.name))


def pack_weights(W, turn):
    """Packs the weights of a layer in as few bits as tell them apart.

    Args:
        W (~bnn.deploy.operations.Weights): The weights.
        turn (numpy.ndarray or int): +1 or -1 for each filter, or 1.

    Returns:
        ~bnn.deploy.packed.PackedWeights: The weights times ``turn``.

    """
    values = W.values
    if numpy.ndim(turn):
        values = values * turn.astype(values.dtype).reshape(
            -1, *(1,) * (values.ndim - 1))
    if W.bits == 1:
        return packed.PackedWeights.pack(values, 1)
    if W.bits == 32:
        return packed.PackedWeights.pack(values, 32)
    if (values % 2 != 0).all() and abs(values).max() < 2 ** W.bits:
        # DoReFa's: odd numbers
        return packed.PackedWeights.pack(
            values, W.bits, 1 - 2 ** W.bits, 2)
    # QNN's may have one level more than k bits tell apart.
    low = -2 ** (W.bits - 1)
    is_more = int(values.max(initial=0) >= -low)
    return packed.PackedWeights.pack(values, W.bits + is_more, low, 1)


def float_bytes(operation):
    """Returns what the parameters and statistics take as float32."""
    total = 0
    for field in dataclasses.fields(operation):
        value = getattr(operation, field.name)
        if isinstance(value, operations.Weights):
            value = value.values
        total += 4 * value.size if isinstance(value, numpy.ndarray) else 0
    return total
