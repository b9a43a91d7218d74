"""Means over examples, added in float64."""
import json
from typing import Any

import chainer
import chainer.functions as F
import numpy

from bnn.training.ranks import alone


class Means:
    """Weighted means of reported values, one for each name.

    Chainer's own summary adds in the dtype of the values, float32, and counts
    a short last batch like a full one.  Values on a GPU are added there.

    Args:
        ranks: The processes of the run.  They add up when the means are
            wanted or saved, not before; all of them have to ask for it.
    """

    def __init__(self, ranks: alone.Ranks = alone.ALONE) -> None:
        self._ranks = ranks
        self._sums = {}
        self._weights = {}

    def add(self, values: dict[str, Any], weight: int = 1) -> None:
        """Adds one observation.

        Args:
            values: Names to scalars: numbers, 0-dimensional arrays or
                variables.
            weight: How many examples the values are the mean of.
        """
        for name, value in values.items():
            if isinstance(value, chainer.Variable):
                value = value.array
            if hasattr(value, 'astype'):
                value = value.astype(numpy.float64)
            self._sums[name] = self._sums.get(name, 0.) + value * weight
            self._weights[name] = self._weights.get(name, 0) + weight

    def compute_mean(self) -> dict[str, float]:
        """Returns the means over what all processes added."""
        return {name: total / weight
                for name, (total, weight) in self._total().items()}

    def serialize(self, serializer: Any) -> None:
        """Saves or restores what was added, so that a resume is exact.

        What is saved is the mean of the processes' sums: each of the
        processes that go on starts with that, and weighs as much as it did.
        """
        if isinstance(serializer, chainer.Deserializer):
            names = json.loads(str(serializer('names', '')))
            # None: as many as there are
            sums, weights = serializer('sums', None), serializer(
                'weights', None)
            self._sums = dict(zip(names, map(float, sums), strict=True))
            self._weights = dict(zip(names, map(int, weights), strict=True))
            return
        n, total = self._ranks.size, self._total()
        serializer('names', json.dumps(list(total)))
        serializer('sums', numpy.array(
            [value / n for value, _ in total.values()]))
        serializer('weights', numpy.array(
            [weight // n for _, weight in total.values()], numpy.int64))

    def _total(self):
        """Returns pairs of sum and weight, over all processes."""
        return self._ranks.add_up({
            name: (float(value), self._weights[name])
            for name, value in self._sums.items()})


def accuracy(y: chainer.Variable, t: Any) -> chainer.Variable:
    """Share of right predictions in a batch, in float64.

    :func:`chainer.functions.accuracy` rounds it to the dtype of the scores,
    which 12 digits show.

    Args:
        y: Scores, (batch, classes).
        t (~chainer.Variable or array): Labels, int (batch,).

    Returns:
        A float64 scalar in [0, 1].
    """
    return F.accuracy(chainer.as_array(y).astype(numpy.float64), t)
