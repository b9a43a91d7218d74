"""A data set on the GPU, and its batches without a word from the host."""
import functools
import inspect

import chainer
import numpy

from bnn.kernels import gpu_graph
from bnn.kernels import gpu_launch
from bnn.kernels import gpu_steps


class Batches(object):

    """The batches of an iterator, gathered on the device.

    The iterator stays what says which examples come, in which order, and
    what a snapshot holds.  An epoch's order is copied when it begins; in it
    the device counts by itself (:func:`bnn.kernels.gpu_steps.advance`).

    Args:
        iterator (~bnn.training.data.Indices): The iterator.
        pixels (~bnn.training.inputs.Pixels): What it is of.
        device (chainer.backend.Device): Where the net computes.

    Attributes:
        iterator (~bnn.training.data.Indices): The iterator.
        n (int): Examples in the batch.
        is_loaded (bool): Whether it is the first one of an order.
        position (array): int64 (1,), where in the order the batch begins.
    """

    def __init__(self, iterator, pixels, device):
        self.iterator = iterator
        self.n = 0
        self.is_loaded = False
        self._pixels = pixels
        self._transform = pixels.transform
        if self._transform is not None and (
                'random' in inspect.signature(self._transform).parameters):
            self._transform = functools.partial(
                self._transform, random=HostDraws(device))
        self._images, self._labels = device.send((
            numpy.ascontiguousarray(pixels.images),
            numpy.ascontiguousarray(pixels.labels, numpy.int32)))
        # uint8 has 256 values: scaling is to look one up.
        values = numpy.arange(256, dtype=numpy.uint8)[:, None, None, None]
        self._table = device.send(numpy.ascontiguousarray(
            pixels.rescale(values.repeat(pixels.images.shape[1], axis=1))[
                :, :, 0, 0].T, numpy.float32))
        self._order = device.xp.empty(
            len(iterator.dataset) + iterator.batch_size, numpy.int32)
        self.position = device.xp.zeros(1, numpy.int64)
        self._expected = None

    def advance(self):
        """Goes on to the next batch."""
        is_expected = self._expected == self.iterator.current_position
        batch = next(self.iterator)
        self.n = len(batch)
        self._expected = self.iterator.current_position
        self.is_loaded = self.iterator.is_new_epoch or not is_expected
        if self.is_loaded:
            # The last batch of an epoch may end with the next one's first.
            order = numpy.concatenate(
                [batch, self.iterator.following]).astype(numpy.int32)
            gpu_launch.fill(self._order[:len(order)], order)
            gpu_launch.fill(self.position, numpy.zeros(1, numpy.int64))

    def take(self):
        """Queues the batch.

        Returns:
            tuple: The images as the net sees them and the labels, arrays on
            the device.
        """
        where = (self._images, self._labels, self._order, self.position,
                 self.n)
        if self._transform is None:
            return gpu_steps.gather_scaled(*where, self._table)
        x, t = gpu_steps.gather(*where)
        return self._pixels.rescale(self._transform(x)), t


class HostDraws(object):

    """Draws of NumPy's global generator, on the device.

    They are the CPU's; before a captured iteration is replayed new ones are
    copied to where it finds them.

    Args:
        device (chainer.backend.Device): Where the net computes.
    """

    def __init__(self, device):
        self._device = device

    def randint(self, low, high, size):
        """As :func:`numpy.random.randint`, an array on the device."""
        return self._draw(
            lambda: numpy.random.randint(low, high, size), size, int)

    def uniform(self, low, high, size):
        """As :func:`numpy.random.uniform`, an array on the device."""
        return self._draw(
            lambda: numpy.random.uniform(low, high, size), size, float)

    def _draw(self, function, size, dtype):
        recording = gpu_graph.recording()
        if recording is None:
            return self._device.send(function())
        draws = self._device.xp.empty(size, dtype)
        recording.before_replay.append(
            lambda: gpu_launch.fill(draws, function()))
        return draws


class Slices(object):

    """The examples of a test in their order, on the device.

    Args:
        pixels (~bnn.training.inputs.Pixels): The examples.
        n (int): How many at once.
        device (chainer.backend.Device): Where the net computes.
    """

    def __init__(self, pixels, n, device):
        self._pixels = pixels
        self._n = n
        self._images, self._labels = device.send((
            numpy.ascontiguousarray(pixels.images), pixels.labels))

    def __iter__(self):
        for i in range(0, len(self._labels), self._n):
            x = self._images[i:i + self._n]
            if self._pixels.transform is not None:
                x = self._pixels.transform(x)
            yield self._pixels.rescale(x), self._labels[i:i + self._n]


class Sums(object):

    """Sums of what iterations report, in float64, on the device.

    Args:
        device (chainer.backend.Device): Where the net computes.

    Attributes:
        array (array): float64, the sums.
    """

    # A captured graph goes on adding to the same array.
    _SIZE = 1024

    def __init__(self, device):
        self._device = device
        self.array = device.xp.zeros(self._SIZE, numpy.float64)
        self._places = {}
        self._weights = {}
        self._totals = None

    def __contains__(self, name):
        return name in self._places

    def add(self, values):
        """Queues the sums of one iteration.

        Args:
            values (dict): Names to arrays of one element.

        Raises:
            ValueError: If there are too many names.
        """
        for name, value in values.items():
            place = self._places.setdefault(name, len(self._places))
            if place == self._SIZE:
                raise ValueError('more than %d values are reported'
                                 % self._SIZE)
            gpu_steps.add(value, self.array, place)

    def count(self, names):
        """Counts an iteration, whose sums are queued."""
        self._totals = None
        for name in names:
            self._weights[name] = self._weights.get(name, 0) + 1

    def read(self):
        """Waits for the device, once after the last iteration.

        Returns:
            dict: Names to pairs of sum and number of iterations.
        """
        if self._totals is None:
            sums = chainer.get_device('@numpy').send(self.array)
            self._totals = {
                name: (float(sums[self._places[name]]), weight)
                for name, weight in self._weights.items()}
        return self._totals

    def take(self):
        """Returns what :meth:`read` does, and begins anew."""
        totals = self.read()
        self._weights, self._totals = {}, {}
        self.array[...] = 0
        return totals
