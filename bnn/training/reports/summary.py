"""A net layer by layer: shapes, bits, operations, bytes."""
import math
from typing import Any

import chainer
import numpy
from chainer.serializers import npz

from bnn import errors
from bnn.deploy import operations
from bnn.deploy import tracing

# Signs stay signs behind these.
_KEEP_SIGNS = (operations.Flatten, operations.MaxPooling2D,
               operations.KeepScale, operations.Keep)


def summarize(predictor: chainer.Chain, x: numpy.ndarray
              ) -> list[dict[str, Any]]:
    """Lists the layers of a net: the links that have parameters.

    A multiply-accumulate counts as 1-bit where weights and inputs are both
    +-1, so that XNOR and popcount compute it.  Packed, a weight takes its
    bits (of k bits by the linear quantizer k + 1, for its 2^k + 1 levels).
    Every other value takes 4 bytes, the scale of a filter too.

    Args:
        predictor: The net.
        x: One image as the net sees it, (1, ...), on the device of the net.

    Returns:
        The layers in the order of computation, and a last row with the
        totals.

    Raises:
        ~bnn.errors.UserError: If :func:`bnn.deploy.tracing.trace` does not
            know a function of the net, or it has no layers.
    """
    links = {path.strip('/'): link for path, link in predictor.namedlinks()}
    shape, rows = x.shape[1:], []
    is_signs = bool((abs(x) == 1).all())
    for operation in tracing.trace(predictor, x):
        shape = operation.output_shape(shape)
        link = links[operation.name]
        # Of the link itself, without its children
        sizes = {name: numpy.size(value)
                 for name, value in npz.serialize(link).items()
                 if '/' not in name}
        if sizes:
            rows.append(_row(operation, link, sizes, shape, is_signs))
        is_signs = isinstance(operation, operations.Sign) or (
            is_signs and isinstance(operation, _KEEP_SIGNS))
    if not rows:
        raise errors.UserError(
            'the net has no layers to summarize: no link of it has '
            'parameters')
    words = {'layer': 'total', 'type': '', 'output': '', 'bits': ''}
    return rows + [{name: words[name] if name in words else
                    sum(row[name] for row in rows) for name in rows[0]}]


def _row(operation, link, sizes, shape, is_signs):
    n_values = sum(sizes.values())
    n_params = sum(size for name, size in sizes.items()
                   if isinstance(getattr(link, name), chainer.Parameter))
    n_weights = n_scales = macs = packed_bits = 0
    bits = 32
    if isinstance(operation, (operations.Linear, operations.Convolution2D)):
        W = operation.W
        n_weights, bits = W.values.size, W.bits
        packed_bits = n_weights * W.level_bits
        # Each output of a layer sums over one row of weights.
        macs = math.prod(shape) * (n_weights // len(W.values))
        if bits == 1 and W.scale is not None:
            n_scales = W.scale.size
    is_binary = is_signs and bits == 1
    return {
        'layer': operation.name, 'type': type(link).__name__,
        'output': 'x'.join(map(str, shape)), 'params': n_params, 'bits': bits,
        '1-bit MACs': macs if is_binary else 0,
        'other MACs': 0 if is_binary else macs,
        'float bytes': 4 * n_values,
        'packed bytes': -(-packed_bits // 8) + 4 * (
            n_values - n_weights + n_scales)}


def describe(predictor: chainer.Chain, shape: tuple[int, ...],
             is_signs: bool) -> str:
    """Returns what :func:`summarize` finds as a table of text.

    Args:
        predictor: The net.
        shape: Of an image, without the batch.
        is_signs: Whether its values are +1 and -1.
    """
    # Only of signs does it matter what an image holds.
    with chainer.using_device(predictor.device):
        x = predictor.xp.full((1, *shape), is_signs, numpy.float32)
    return table(summarize(predictor, x))


def table(rows: list[dict[str, Any]]) -> str:
    """Returns rows as a table of text.

    Args:
        rows: The rows, of the same columns, the first three of words.

    Returns:
        A line for the names of the columns, and one for each row.
    """
    cells = [list(rows[0])] + [
        [format(value, ',') if isinstance(value, int) else value
         for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    # Words are flush left, numbers flush right.
    return '\n'.join(
        '  '.join(cell.ljust(width) if i < 3 else cell.rjust(width)
                  for i, (cell, width) in enumerate(
                      zip(row, widths, strict=True))).rstrip()
        for row in cells)
