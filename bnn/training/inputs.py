"""From uint8 images to what a net sees."""
import functools
import typing

import chainer
import numpy

from bnn import errors
from bnn.data import augment


def _unit(x):
    return x.astype(numpy.float32) / 255


def _signed(x):
    return x.astype(numpy.float32) / 127.5 - 1


def _binary(x):
    return (x >= 128).astype(numpy.float32) * 2 - 1


def _standard(x, mean, std):
    device = chainer.backend.get_device_from_array(x)
    mean, std = (_constant(tuple(value), device) for value in (mean, std))
    return (_unit(x) - mean) / std


@functools.lru_cache(maxsize=8)
def _constant(values, device):
    # Copied once: a copy from the host has no place in a CUDA graph.
    return device.send(numpy.array(values, numpy.float32)[:, None, None])


SCALES = {'unit': _unit, 'signed': _signed, 'standard': _standard,
          'binary': _binary}


class Augmentation(typing.NamedTuple):

    """What happens to images before they are scaled.

    Attributes:
        words (str): What it is, for the help.
        train (callable or None): Takes and returns a batch of training
            images.
        test (callable or None): Likewise of images to be tested.
    """

    words: str
    train: typing.Callable = None
    test: typing.Callable = None


_CENTER = functools.partial(augment.center_crop, size=227)
AUGMENTATIONS = {
    'none': Augmentation('as they are'),
    'shift': Augmentation(
        'moved by up to 2 pixels', functools.partial(
            augment.pad_crop_flip, pad=2, flip=False)),
    'affine': Augmentation(
        'turned by up to 10 degrees, scaled and slanted by up to a tenth, '
        'moved by up to 2 pixels', augment.random_affine),
    'crop-flip': Augmentation(
        'moved by up to 4 pixels, one of two mirrored',
        augment.pad_crop_flip),
    # What AlexNet takes, out of pictures of 256 pixels
    'random-crop': Augmentation(
        'a random window of 227 pixels, one of two mirrored',
        functools.partial(augment.random_crop_flip, size=227), _CENTER),
    'center-crop': Augmentation(
        'the central window of 227 pixels', _CENTER, _CENTER),
}


class Pixels(typing.NamedTuple):

    """Images and labels, and what makes of them what a net sees.

    Attributes:
        images (array-like): uint8 (n, channels, h, w).
        labels (numpy.ndarray): int32 (n,).
        rescale (callable): See :func:`rescaler`; pixel by pixel.
        transform (callable or None): Takes and returns a batch of uint8
            images, before they are scaled.
    """

    images: typing.Any
    labels: numpy.ndarray
    rescale: typing.Callable
    transform: typing.Callable = None


def converter(images, labels, scale, statistics=None, transform=None):
    """Returns Chainer's converter for batches of indices.

    Args:
        images (array-like): uint8 (n, channels, h, w).
        labels (numpy.ndarray): int32 (n,).
        scale (str): ``'unit'``: pixels in [0, 1]; ``'signed'``: in [-1, 1];
            ``'standard'``: less the mean, by the deviation of
            ``statistics``; ``'binary'``: +1 from 128 up, else -1.
        statistics (tuple): Mean and deviation of each channel, for pixels in
            [0, 1].
        transform (callable or None): Takes and returns a batch of uint8
            images, before they are scaled.

    Returns:
        callable: Takes a batch of indices and a device; returns the float32
        images and the labels on that device.
    """
    rescale = rescaler(scale, statistics)

    @chainer.dataset.converter()
    def convert(batch, device):
        x, kept = gather(images, batch)
        x, t = device.send((x, labels[batch]))
        if transform is not None:
            x = transform(x)
        if kept is not None:
            x, t = x[kept], t[kept]
        if not len(t) and chainer.config.train:
            raise errors.UserError(
                'all %d images of a batch are broken' % len(batch))
        return rescale(x), t

    convert.pixels = Pixels(images, labels, rescale, transform)
    return convert


def rescaler(scale, statistics=None):
    """Returns what makes float32 of uint8 images; see :func:`converter`."""
    if scale != 'standard':
        return SCALES[scale]
    mean, std = statistics
    return functools.partial(_standard, mean=mean, std=std)


def gather(images, batch):
    """Returns images, uint8, and of images from files which are whole.

    Broken ones are zeros, to be left out last, so that a transform draws as
    many random numbers on every rank.  ``None`` says that none is.
    """
    if not hasattr(images, 'read'):
        return images[batch], None
    whole, kept = images.read(batch)
    if kept.all():
        return whole, None
    x = numpy.zeros((len(batch), *whole.shape[1:]), whole.dtype)
    x[kept] = whole
    return x, kept
