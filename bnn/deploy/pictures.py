"""From a picture of any size to what a net was trained on."""
import numpy

from bnn import errors
from bnn.data import augment
from bnn.data import decoding
from bnn.data import mnist

# Of the range of grey: what is nearer to the background is none of the digit.
_INK = .2


def load(path, input_shape, dataset='mnist'):
    """Reads a picture as a net wants it.

    A net of one channel gets grey, light on dark: a picture whose edge is
    rather light is inverted.  One of exactly the net's size is taken as it
    is; else of digits (``'mnist'``, ``'digits'``) what is drawn is scaled
    into a box of 20 pixels and put with its centre of mass where MNIST's have
    it, and of anything else the whole picture is scaled.

    Args:
        path (str): JPEG, PNG, BMP, GIF, WebP, PPM, PGM or PBM.
        input_shape (tuple of int): (channels, h, w) of the net.
        dataset (str or None): What the net was trained on.

    Returns:
        tuple: uint8 (channels, h, w), and in words what was assumed.

    Raises:
        ~bnn.errors.UserError: If there is no such file, or it is no picture.

    """
    try:
        pixels = decoding.read(path)
    except ValueError as e:
        raise errors.UserError(f'{path}: {e}') from None
    size = f'{pixels.shape[1]}x{pixels.shape[0]}'
    if input_shape[0] == 3:
        height, width = input_shape[1:]
        if dataset == 'imagenet':
            x = decoding.resize(pixels, decoding.SIZE, decoding.SIZE)
            x = augment.center_crop(x.transpose(2, 0, 1)[None], height)[0]
            how = f'scaled from {size}, the middle of it'
        else:
            x = decoding.resize(pixels, height, width).transpose(2, 0, 1)
            how = f'scaled from {size}'
        return numpy.ascontiguousarray(x), how
    grey, how = light_on_dark(to_grey(pixels))
    if grey.shape == tuple(input_shape[1:]):
        how += ', as it is'
    elif dataset in ('mnist', 'digits'):
        grey, words = center(grey, input_shape[1:])
        how += f', {words} from {size}'
    else:
        grey = decoding.resize(grey, *input_shape[1:])
        how += f', scaled from {size}'
    return grey[None], how


def to_grey(pixels):
    """Returns the luma of RGB, uint8 (h, w)."""
    weights = numpy.array([299, 587, 114])
    return ((pixels.astype(numpy.int64) @ weights + 500) // 1000).astype(
        numpy.uint8)


def light_on_dark(grey):
    """Returns an image that is light on dark, and what it was, in words.

    Args:
        grey (numpy.ndarray): uint8 (h, w).

    Returns:
        tuple: uint8 (h, w), str.

    """
    edge = numpy.concatenate(
        [grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    # The edge beside the range of the image, so that grey paper is paper
    low, high = int(grey.min()), int(grey.max())
    if 2 * int(numpy.median(edge)) > low + high or low == high > 127:
        return 255 - grey, 'dark on light'
    return grey, 'light on dark'


def center(grey, size):
    """Scales what is drawn into MNIST's box, its centre of mass to MNIST's.

    Args:
        grey (numpy.ndarray): uint8 (h, w), light on dark.
        size (tuple of int): (h, w) of the result.

    Returns:
        tuple: uint8 of that size, and in words what was done.

    """
    background = int(numpy.percentile(grey, 25))
    ink = numpy.clip(grey.astype(numpy.int64) - background, 0, None)
    top = int(ink.max())
    if not top:
        return numpy.zeros(size, numpy.uint8), 'empty'
    ink = ink * 255 // top  # paper becomes black, the pen white
    drawn = ink >= 255 * _INK
    rows, columns = (numpy.flatnonzero(drawn.any(axis=axis))
                     for axis in (1, 0))
    ink = ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    scale = mnist.BOX / max(ink.shape)
    digit = decoding.resize(ink.astype(numpy.uint8), *(
        max(1, round(n * scale)) for n in ink.shape))
    weights = digit.astype(numpy.float64)
    y = numpy.zeros(size, numpy.uint8)
    corner = []
    for axis, n in enumerate(size):
        mass = weights.sum(axis=1 - axis)
        middle = (mass @ numpy.arange(len(mass)) / mass.sum()
                  if mass.any() else (len(mass) - 1) / 2)
        corner.append(int(numpy.clip(
            round(mnist.CENTRE - middle), 0, n - len(mass))))
    y[corner[0]:corner[0] + digit.shape[0],
      corner[1]:corner[1] + digit.shape[1]] = digit
    return y, 'scaled and centred'
