"""Means over examples, added in float64."""
import json

import chainer
import chainer.functions as F
import numpy

from bnn.kernels import gpu_losses


class Means(object):

    """Weighted means of reported values, one for each name.

    Chainer's own summary adds in the dtype of the values, float32, and counts
    a short last batch like a full one.  Values on a GPU are added there.
    """

    def __init__(self):
        self._sums = {}
        self._weights = {}

    def add(self, values, weight=1):
        """Adds one observation.

        Args:
            values (dict): Names to scalars: numbers, 0-dimensional arrays or
                variables.
            weight (int): How many examples the values are the mean of.
        """
        for name, value in values.items():
            if isinstance(value, chainer.Variable):
                value = value.array
            if hasattr(value, 'astype'):  # a scalar of NumPy is no array
                value = value.astype(numpy.float64)
            self._sums[name] = self._sums.get(name, 0.) + value * weight
            self._weights[name] = self._weights.get(name, 0) + weight

    def compute_mean(self):
        """Returns the means, a dict of names to floats."""
        return {name: total / self._weights[name]
                for name, total in _to_floats(self._sums).items()}

    def serialize(self, serializer):
        """Saves or restores what was added, so that a resume is exact."""
        names = json.loads(str(serializer(
            'names', json.dumps(list(self._sums)))))
        sums = serializer('sums', numpy.array(
            [float(self._sums.get(name, 0)) for name in names]))
        weights = serializer('weights', numpy.array(
            [self._weights.get(name, 0) for name in names], numpy.int64))
        if isinstance(serializer, chainer.Deserializer):
            self._sums = dict(zip(names, map(float, sums), strict=True))
            self._weights = dict(zip(names, map(int, weights), strict=True))


class MeansWithSums(Means):

    """Means of which a device adds up a part by itself.

    Args:
        sums (~bnn.training.device_data.Sums): That part.
    """

    def __init__(self, sums):
        super().__init__()
        self._on_device = sums

    def add(self, values, weight=1):
        super().add({name: value for name, value in values.items()
                     if name not in self._on_device}, weight)

    def compute_mean(self):
        self._collect()
        return super().compute_mean()

    def serialize(self, serializer):
        if not isinstance(serializer, chainer.Deserializer):
            self._collect()
        super().serialize(serializer)

    def _collect(self):
        for name, (total, weight) in self._on_device.take().items():
            self._sums[name] = self._sums.get(name, 0.) + total
            self._weights[name] = self._weights.get(name, 0) + weight


def _to_floats(values):
    """Returns numbers as floats; those on a GPU are read all at once."""
    there = {name: value for name, value in values.items()
             if not isinstance(value, (float, numpy.generic, numpy.ndarray))}
    if there:
        xp = chainer.backend.get_array_module(*there.values())
        read = chainer.get_device('@numpy').send(xp.stack(
            [value.reshape(()) for value in there.values()]))
        values = {**values, **dict(zip(there, read, strict=True))}
    return {name: float(value) for name, value in values.items()}


def accuracy(y, t):
    """Share of right predictions in a batch, in float64.

    :func:`chainer.functions.accuracy` rounds it to the dtype of the scores,
    which 12 digits show.

    Args:
        y (~chainer.Variable): Scores, (batch, classes).
        t (~chainer.Variable or array): Labels, int (batch,).

    Returns:
        ~chainer.Variable: A float64 scalar in [0, 1].
    """
    y, labels = chainer.as_array(y), chainer.as_array(t)
    if gpu_losses.takes(y, labels) and len(y) == len(labels):
        return chainer.Variable(
            gpu_losses.accuracy(y, labels), requires_grad=False)
    return F.accuracy(y.astype(numpy.float64), t)
