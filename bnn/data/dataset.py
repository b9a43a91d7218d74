"""What every loader returns, and raises where there is no data."""
import dataclasses
import functools
import hashlib

import numpy

from bnn import errors
from bnn.kernels import whitening as whitening_module


class UnavailableError(errors.UserError):
    """The data is not there and cannot be downloaded.

    A caller that was not asked for this data by name may take other data.
    Where data is there and damaged, a plain UserError is raised.

    Args:
        reason (str): What is missing, and why.
        advice (str): What to do about it; ``''`` where the reason says it.

    Attributes:
        reason (str): As given: a caller may have other advice.
    """

    def __init__(self, reason, advice=''):
        super().__init__(f'{reason}; {advice}' if advice else reason)
        self.reason = reason


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images, split into a train and a test part.

    Attributes:
        name (str): What ``--dataset`` calls it, ``'mnist'``.
        title (str): What reports call it, ``'MNIST'``.
        train_images (numpy.ndarray): uint8, C-contiguous, shape
            ``(n, 1, 28, 28)``, 0 is the background and 255 full ink; of
            CIFAR-10 ``(n, 3, 32, 32)``, red, green and blue; of a large
            folder of pictures :class:`bnn.data.pictures.Pictures`, which
            decodes a picture when it is asked for.
        train_labels (numpy.ndarray): int32, shape ``(n,)``, from 0.
        test_images (numpy.ndarray): As ``train_images``.
        test_labels (numpy.ndarray): As ``train_labels``.
        class_names (tuple of str): The name of each label.
        source (str): Where the data came from: a folder, or words.
        validation_images (numpy.ndarray or None): As ``train_images``; a part
            split off by :meth:`with_validation`.
        validation_labels (numpy.ndarray or None): As ``train_labels``.
        whitening (~bnn.kernels.whitening.Whitening or None): What whitens the
            images, where a net is to see them so.
    """

    name: str
    title: str
    train_images: numpy.ndarray = dataclasses.field(repr=False)
    train_labels: numpy.ndarray = dataclasses.field(repr=False)
    test_images: numpy.ndarray = dataclasses.field(repr=False)
    test_labels: numpy.ndarray = dataclasses.field(repr=False)
    class_names: tuple
    source: str
    validation_images: numpy.ndarray = dataclasses.field(
        default=None, repr=False)
    validation_labels: numpy.ndarray = dataclasses.field(
        default=None, repr=False)
    whitening: whitening_module.Whitening = dataclasses.field(
        default=None, repr=False)

    @functools.cached_property
    def digest(self):
        """str: 40 hex digits that tell these images and labels from others.

        The same data gives the same digest on every machine, wherever it was
        loaded from. It stands for the names and sizes of pictures on the
        disk, not for their pixels.
        """
        state = hashlib.blake2b(digest_size=20)
        for array in (self.train_images, self.train_labels,
                      self.test_images, self.test_labels):
            array = getattr(array, 'fingerprint', array)
            # One byte order, so that the digest is no property of the machine
            array = numpy.ascontiguousarray(
                array, array.dtype.newbyteorder('<'))
            state.update(f'{array.dtype.str}{array.shape}'.encode())
            state.update(array.data)
        return state.hexdigest()

    def check_classes(self, names, path):
        """Refuses a net for other classes.

        Args:
            names (sequence of str): The classes of the net.
            path (str): Its file, for the message.

        Raises:
            UserError: They are other ones, or in another order.
        """
        if tuple(names) != self.class_names:
            ours, theirs = (
                f'{len(one)} classes, {", ".join(map(str, one)):.80}'
                for one in (self.class_names, names))
            raise errors.UserError(
                f'{self.source} has {ours}, but {path} is of {theirs}')

    def head(self, n):
        """Returns the first ``n`` training and test images as a data set."""
        return dataclasses.replace(
            self, train_images=self.train_images[:n],
            train_labels=self.train_labels[:n],
            test_images=self.test_images[:n],
            test_labels=self.test_labels[:n])

    def with_validation(self, n):
        """Splits the last ``n`` training images off for validation.

        Args:
            n (int): How many, 1 or more.

        Returns:
            Dataset: The same images in three parts.
        """
        return dataclasses.replace(
            self, train_images=self.train_images[:-n],
            train_labels=self.train_labels[:-n],
            validation_images=self.train_images[-n:],
            validation_labels=self.train_labels[-n:])
