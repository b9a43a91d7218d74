"""A net layer by layer: shapes, bits, operations, bytes."""
from typing import Any

import chainer
import numpy


class _Layers(chainer.LinkHook):
    """Notes what each layer that has parameters does to its input."""

    name = 'Layers'

    def __init__(self, model):
        super().__init__()
        self._names = {id(link): name.strip('/')
                       for name, link in model.namedlinks()}
        self.rows = []

    def forward_postprocess(self, args):
        link = args.link
        if isinstance(link, (chainer.Chain, chainer.ChainList)) or not (
                list(link.params()) or link._persistent):
            return
        x = chainer.as_array(args.args[0])
        out = args.out.shape[1:]
        n_params = sum(param.size for param in link.params())
        n_persistents = sum(numpy.size(getattr(link, name))
                            for name in link._persistent)
        w_bits = getattr(link, 'w_bits', 32)
        W = getattr(link, 'W', None)
        n_weights = 0 if W is None else W.size
        # Each output of a layer sums over one row of weights.
        macs = 0 if W is None else (
            int(numpy.prod(out)) * (n_weights // W.shape[0]))
        n_scales = W.shape[0] if getattr(link, 'scaled', False) else 0
        is_binary = w_bits == 1 and bool((abs(x) == 1).all())
        self.rows.append({
            'layer': self._names[id(link)], 'type': type(link).__name__,
            'output': 'x'.join(map(str, out)), 'params': n_params,
            'bits': w_bits if n_weights else 32,
            '1-bit MACs': macs if is_binary else 0,
            'other MACs': 0 if is_binary else macs,
            'float bytes': 4 * (n_params + n_persistents),
            'packed bytes': -(
                -n_weights * getattr(link, 'packed_bits', w_bits) // 8) + 4 * (
                    n_params - n_weights + n_persistents + n_scales)})


def summarize(predictor: chainer.Chain, x: numpy.ndarray
              ) -> list[dict[str, Any]]:
    """Lists the layers of a net.

    A multiply-accumulate counts as 1-bit where weights and inputs are both
    +-1, so that XNOR and popcount do it.  Packed, a weight takes its bits (of
    k bits by the linear quantizer k + 1, for its 2^k + 1 levels) and every
    other value 4 bytes, the scale of a filter too.

    Args:
        predictor: The net.
        x: One image as the net sees it, (1, ...).

    Returns:
        The layers in the order of computation, and a last row
        with the totals.
    """
    hook = _Layers(predictor)
    with (hook, chainer.using_config('train', False),
          chainer.no_backprop_mode()):
        predictor(x)
    words = {'layer': 'total', 'type': '', 'output': '', 'bits': ''}
    total = {name: words[name] if name in words else
             sum(row[name] for row in hook.rows) for name in hook.rows[0]}
    return hook.rows + [total]


def describe(predictor: chainer.Chain, x: numpy.ndarray) -> str:
    """Returns what :func:`summarize` finds as a table of text."""
    return table(summarize(predictor, x))


def table(rows: list[dict[str, Any]], n_left: int = 3) -> str:
    """Returns rows as a table of text.

    Args:
        rows: The rows, of the same columns.
        n_left: Columns of words, which are flush left.

    Returns:
        A line for the names of the columns, and one for each row.
    """
    cells = [list(rows[0])] + [
        [format(value, ',') if isinstance(value, int) else value
         for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return '\n'.join(
        '  '.join(cell.ljust(width) if i < n_left else cell.rjust(width)
                  for i, (cell, width) in enumerate(
                      zip(row, widths, strict=True))).rstrip()
        for row in cells)
