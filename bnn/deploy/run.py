"""A packed net as it runs: NumPy arrays, XNOR and popcount."""
import math
import threading

import numpy

from bnn.deploy import numpy_stages
from bnn.deploy import stages


class Net:
    """A packed net, ready to predict.

    Images are uint8, 0 to 255, as the data sets have them (the background of
    a digit is 0): (n, channels, h, w), (n, channels * h * w), or for one
    channel (n, h, w).  n may be 0; any layout in memory is taken.

    The first call, if it has one image, is computed in NumPy: in less time
    than it takes to load Numba.  Every other call runs compiled kernels.  The
    first of these loads Numba and arranges the weights, so a service makes a
    call of two images before it begins.  The scores are the same.

    Args:
        net (~bnn.deploy.stages.PackedNet): The net.

    Attributes:
        packed (~bnn.deploy.stages.PackedNet): The net.
        input_shape (tuple of int): (channels, h, w).
        class_names (tuple of str): The classes.
        memory (int): Bytes of the largest intermediate result of the images
            that are computed together.

    .. rubric:: Example

    >>> from bnn import deploy
    >>> net = deploy.load('net.bnn')
    >>> images = numpy.zeros((3, 28, 28), 'uint8')
    >>> net.probabilities(images).shape
    (3, 10)
    """

    memory = 1 << 22  # about what the processor caches

    def __init__(self, net: stages.PackedNet):
        self.packed = net
        self.input_shape = net.input_shape
        self.class_names = net.class_names
        self._is_first = True
        self._steps = None
        self._lock = threading.Lock()
        self._chunk = _chunk(net.stages, self.memory)

    def scores(self, images: numpy.ndarray) -> numpy.ndarray:
        """Computes the class scores, before the softmax.

        Args:
            images: See the class.

        Returns:
            float32 (n, n_classes).

        Raises:
            TypeError: If the images are not uint8.
            ValueError: If they are of another shape.
        """
        x = self._prepared(images)
        if not len(x):
            return numpy.empty((0, len(self.class_names)), numpy.float32)
        is_first, self._is_first = self._is_first, False
        if is_first and len(x) == 1:
            return numpy_stages.run(self.packed.stages, x)
        parts = [self._run(x[i:i + self._chunk])
                 for i in range(0, len(x), self._chunk)]
        return parts[0] if len(parts) == 1 else numpy.concatenate(parts)

    def predict(self, images: numpy.ndarray) -> numpy.ndarray:
        """Computes the classes.

        Args:
            images: See the class.

        Returns:
            int64 (n,): indices of :attr:`class_names`; of equal scores the
            first.

        Raises:
            TypeError, ValueError: See :meth:`scores`.
        """
        return self.scores(images).argmax(axis=1)

    def probabilities(self, images: numpy.ndarray) -> numpy.ndarray:
        """Computes the softmax of the scores.

        Args:
            images: See the class.

        Returns:
            float32 (n, n_classes).

        Raises:
            TypeError, ValueError: See :meth:`scores`.
        """
        return softmax(self.scores(images))

    def _prepared(self, images):
        """Returns images as the steps take them, or raises an error."""
        if getattr(images, 'dtype', None) != numpy.uint8:
            raise TypeError('images must be a NumPy array of uint8, 0 to 255')
        given, wanted = images.shape[1:], self.input_shape
        if given not in (wanted, (math.prod(wanted),)) and (
                len(given) != 2 or (1, *given) != wanted):
            raise ValueError(
                f'images must be of the shape (n, '
                f'{", ".join(map(str, wanted))}), not {images.shape}')
        return numpy.ascontiguousarray(images).reshape(len(images), *wanted)

    def _run(self, x):
        with self._lock:  # threads that begin together arrange it once
            if self._steps is None:
                # Loads Numba.
                from bnn.deploy import steps
                self._steps = list(steps.make(self.packed.stages))
        kept = []
        for step in self._steps:
            x = step(x, kept)
        return x


def softmax(scores: numpy.ndarray) -> numpy.ndarray:
    """Returns the softmax of scores, float32 (n, n_classes)."""
    e = numpy.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _chunk(net_stages, memory):
    """Returns how many images go through the net together."""
    if all(len(stage.output_shape) == 1 for stage in net_stages):
        return 1 << 20
    largest = 1
    for stage in net_stages:
        size = math.prod(stage.output_shape)
        if isinstance(stage, stages.Product) and stage.is_convolution:
            size *= max(1, stage.weights.fan_in // (
                32 if stage.weights.bits == 1 else 1) // stage.groups)
            size //= max(1, stage.output_shape[0])
        largest = max(largest, 4 * size, 4 * math.prod(stage.input_shape))
    return max(1, memory // largest)
