"""A packed net as it runs: NumPy arrays, XNOR and popcount."""
import math

import numpy

from bnn.deploy import packed
from bnn.deploy import steps


class Net(object):
    """A packed net, ready to predict.

    Images are uint8, 0 to 255, as the data sets have them (of a digit 0 is
    the background): (n, channels, h, w), (n, channels * h * w), or for one
    channel (n, h, w).  They may be of any layout in memory, and none at all.

    Args:
        net (~bnn.deploy.packed.PackedNet): The net.

    Attributes:
        packed (~bnn.deploy.packed.PackedNet): The net.
        input_shape (tuple of int): (channels, h, w).
        class_names (tuple of str): The classes.
        memory (int): Bytes of the largest intermediate result of the images
            that are computed together.
        batch (int): Images that are worth a call.

    .. rubric:: Example

    >>> net = bnn.deploy.load('net.bnn')
    >>> net.predict(images)  # doctest: +SKIP
    array([7, 2, 1])

    """

    memory = 1 << 22  # about what the processor caches
    batch = 1000

    def __init__(self, net):
        self.packed = net
        self.input_shape = net.input_shape
        self.class_names = net.class_names
        self._width = math.prod(net.input_shape)
        self._steps = self.make_steps()
        self._chunk = _chunk(net.stages, self.memory)

    def make_steps(self):
        """Returns callables of a value and a list of kept scales."""
        return list(steps.make(self.packed.stages))

    def scores(self, images):
        """Computes the class scores, before the softmax.

        Args:
            images (numpy.ndarray): See the class.

        Returns:
            numpy.ndarray: float32 (n, n_classes).

        Raises:
            TypeError: If the images are not uint8.
            ValueError: If they are of another shape.

        """
        x = self.prepared(images)
        if not len(x):
            return numpy.empty((0, len(self.class_names)), numpy.float32)
        parts = self.parts(x)
        return parts[0] if len(parts) == 1 else numpy.concatenate(parts)

    def predict(self, images):
        """Computes the classes.

        Args:
            images (numpy.ndarray): See the class.

        Returns:
            numpy.ndarray: int64 (n,): indices of :attr:`class_names`; of
            equal scores the first.

        Raises:
            TypeError, ValueError: See :meth:`scores`.

        """
        return self.scores(images).argmax(axis=1)

    def probabilities(self, images):
        """Computes the softmax of the scores.

        Args:
            images (numpy.ndarray): See the class.

        Returns:
            numpy.ndarray: float32 (n, n_classes).

        Raises:
            TypeError, ValueError: See :meth:`scores`.

        """
        return softmax(self.scores(images))

    def prepared(self, images):
        """Returns images as the steps take them, or raises an error."""
        if getattr(images, 'dtype', None) != numpy.uint8:
            raise TypeError('images must be a NumPy array of uint8, 0 to 255')
        shape = images.shape
        if not (shape[1:] == self.input_shape or shape[1:] == (self._width,)
                or len(shape) == 3 and (1, *shape[1:]) == self.input_shape):
            raise ValueError(
                'images must be of the shape (n, %s), not %s' % (
                    ', '.join(map(str, self.input_shape)), shape))
        return self._contiguous(images).reshape(
            len(images), *self.input_shape)

    def parts(self, x):
        """Computes the scores of prepared images, some at a time."""
        return [self._run(x[i:i + self._chunk])
                for i in range(0, len(x), self._chunk)]

    def _contiguous(self, images):
        return numpy.ascontiguousarray(images)

    def _run(self, x):
        kept = []
        for step in self._steps:
            x = step(x, kept)
        return x


def softmax(scores):
    """Returns the softmax of scores, float32 (n, n_classes)."""
    e = numpy.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _chunk(stages, memory):
    """Returns how many images go through the net together."""
    largest = 1
    for stage in stages:
        size = math.prod(stage.output_shape)
        if isinstance(stage, packed.Product) and stage.is_convolution:
            size *= max(1, stage.weights.fan_in // (
                32 if stage.weights.bits == 1 else 1) // stage.groups)
            size //= max(1, stage.output_shape[0])
        largest = max(largest, 4 * size, 4 * math.prod(stage.input_shape))
    if all(len(stage.output_shape) == 1 for stage in stages):
        return 1 << 20
    return max(1, memory // largest)
