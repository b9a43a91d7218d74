"""From uint8 images to what a net sees, batch by batch."""
import functools
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import chainer
import numpy

from bnn import errors
from bnn.data import augment
from bnn.kernels import whitening


def _unit(x):
    return x.astype(numpy.float32) / 255


def _signed(x):
    return x.astype(numpy.float32) / 127.5 - 1


def _binary(x):
    return (x >= 128).astype(numpy.float32) * 2 - 1


def _standard(x, mean, std):
    xp = chainer.backend.get_array_module(x)
    mean, std = (xp.array(value, numpy.float32)[:, None, None]
                 for value in (mean, std))
    return (_unit(x) - mean) / std


def _whitened(x, statistics, on_device):
    device = chainer.backend.get_device_from_array(x)
    if device not in on_device:
        on_device[device] = device.send(tuple(statistics))
    return whitening.whiten(_unit(x), *on_device[device])


SCALES = {'unit': _unit, 'signed': _signed, 'standard': _standard,
          'binary': _binary, 'whitened': _whitened}


class Augmentation(NamedTuple):
    """What happens to images before they are scaled.

    Attributes:
        words: What it is, for the help.
        train: Takes and returns a batch of training images, or is ``None``.
        test: Likewise of images to be tested.
        is_of_pictures: Whether it is for pictures of any size, in files.
    """

    words: str
    train: Callable | None = None
    test: Callable | None = None
    is_of_pictures: bool = False


_CENTER = functools.partial(augment.center_crop, size=227)
AUGMENTATIONS = {
    'none': Augmentation('as they are'),
    'shift': Augmentation(
        'moved by up to 2 pixels', functools.partial(
            augment.pad_crop_flip, pad=2, flip=False)),
    'shift-flip': Augmentation(
        'moved by up to 2 pixels, one of two mirrored', functools.partial(
            augment.pad_crop_flip, pad=2)),
    'affine': Augmentation(
        'turned by up to 10 degrees, scaled and slanted by up to a tenth, '
        'moved by up to 2 pixels', augment.random_affine),
    'crop-flip': Augmentation(
        'moved by up to 4 pixels, one of two mirrored',
        augment.pad_crop_flip),
    # AlexNet's input, out of pictures of 256 pixels
    'random-crop': Augmentation(
        'a random window of 227 pixels, one of two mirrored',
        functools.partial(augment.random_crop_flip, size=227), _CENTER, True),
    'center-crop': Augmentation(
        'the central window of 227 pixels', _CENTER, _CENTER, True),
}


def rescaler(scale: str, statistics: tuple = ()) -> Callable:
    """Returns what makes float32 of uint8 images, of NumPy or CuPy.

    Args:
        scale: ``'unit'``: pixels in [0, 1]; ``'signed'``: in [-1, 1];
            ``'standard'``: less the mean, by the deviation of
            ``statistics``; ``'binary'``: +1 from 128 up, else -1;
            ``'whitened'``: see :mod:`bnn.kernels.whitening`.
        statistics: Mean and deviation of each channel, for pixels in [0, 1],
            or the :class:`~bnn.kernels.whitening.Whitening`.
    """
    if scale == 'whitened':
        return functools.partial(
            _whitened, statistics=statistics, on_device={})
    if scale != 'standard':
        return SCALES[scale]
    mean, std = statistics
    return functools.partial(_standard, mean=mean, std=std)


def converter(images: Any, labels: numpy.ndarray, rescale: Callable,
              transform: Callable | None = None) -> Callable:
    """Returns Chainer's converter for batches of indices.

    On a GPU the images are one array, copied there with the first batch,
    from which each batch is gathered.  Images that are read from files go
    there batch by batch.

    Args:
        images: uint8 (n, channels, h, w): an array, or
            :class:`bnn.data.pictures.Pictures`.
        labels: int32 (n,).
        rescale: See :func:`rescaler`.
        transform: Takes and returns a batch of uint8 images, before they are
            scaled.

    Returns:
        callable: Takes a batch of indices and a device; returns the float32
        images and the labels on that device.
    """
    on_device = {}

    def send(device):
        if device not in on_device:
            on_device[device] = device.send((images, labels))
        return on_device[device]

    @chainer.dataset.converter()
    def convert(batch, device):
        kept = None
        if hasattr(images, 'read'):
            x, kept = gather(images, batch)
            x, t = device.send((x, labels[batch]))
        else:
            x, t = (array[device.xp.asarray(batch)]
                    for array in send(device))
        if transform is not None:
            x = transform(x)
        if kept is not None:
            x, t = x[kept], t[kept]
        if not len(t) and chainer.config.train:
            raise errors.UserError(
                f'all {len(batch)} images of a batch are broken')
        return rescale(x), t

    return convert


def gather(images: Any, batch: Any) -> tuple[numpy.ndarray, Any]:
    """Returns images, uint8, and of images from files which are whole.

    Broken ones are zeros, to be left out last, so that a transform draws as
    many random numbers in every process.  ``None`` says that none is broken.
    """
    if not hasattr(images, 'read'):
        return images[batch], None
    whole, kept = images.read(batch)
    if kept.all():
        return whole, None
    x = numpy.zeros((len(batch), *whole.shape[1:]), whole.dtype)
    x[kept] = whole
    return x, kept
