"""From a picture of any size to what a net was trained on."""
import sys

import numpy

from bnn import errors
from bnn.data import augment
from bnn.data import decoding

# How MNIST's digits were put into 28x28 pixels: the larger side in pixels, and
# the centre of mass, counted from 0 at the middle of the first pixel. Its mean
# over the 60,000 training images is 14.007 across and 13.996 down (deviation
# 0.29 each, from rounding to whole pixels), not the middle of the image, 13.5.
BOX = 20
CENTRE = 14.
# Of the range of grey: what is nearer to the background is none of the digit.
_INK = .2
# Data sets of which only what is drawn counts, not where and how large
_OF_DRAWINGS = 'mnist', 'digits'
# Data sets of images that are light on dark
_LIGHT_ON_DARK = *_OF_DRAWINGS, 'fashion-mnist'
# A pixel is coloured where its channels are so far apart, a picture where so
# large a share of its pixels is: yellowish paper is grey.
_COLOUR, _COLOURED = 64, .1
# How much longer than the other one a side of a picture may be
_ASPECT = 2


def load(path, input_shape, dataset='mnist'):
    """Reads a picture as a net wants it.

    A net of one channel gets grey, that of digits and Fashion-MNIST light on
    dark: a picture whose edge is rather light is inverted.  One of exactly
    the net's size is taken as it is; else of digits (``'mnist'``,
    ``'digits'``) what is drawn is scaled into a box of 20 pixels and put with
    its centre of mass where MNIST's have it, and of anything else the whole
    picture is scaled.  For a net of own pictures (``'pictures'``) it is made
    as for its training.

    A picture of another kind than the net's gets a warning on standard error.

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
    for words in _doubts(pixels, input_shape, dataset):
        print(f'warning: {path} {words}', file=sys.stderr)
    size = f'{pixels.shape[1]}x{pixels.shape[0]}'
    if dataset == 'pictures':
        words = 'grey, ' * (input_shape[0] == 1)
        return (decoding.decode(path, shape=input_shape),
                f'{words}scaled from {size}')
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
    grey, how = to_grey(pixels), 'grey'
    if dataset in _LIGHT_ON_DARK:
        grey, how = light_on_dark(grey)
    if grey.shape == tuple(input_shape[1:]):
        how += ', as it is'
    elif dataset in _OF_DRAWINGS:
        grey, words = center(grey, input_shape[1:])
        how += f', {words} from {size}'
    else:
        grey = decoding.resize(grey, *input_shape[1:])
        how += f', scaled from {size}'
    return grey[None], how


def _doubts(pixels, input_shape, dataset):
    """Yields in words how a picture is of another kind than the net's."""
    channels, *wanted = input_shape
    height, width = pixels.shape[:2]
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    if channels == 1 and dataset != 'pictures' and (  # whose own may be grey
            spread >= _COLOUR).mean() > _COLOURED:
        yield 'has colours, and the net sees grey alone'
    elif channels == 3 and not spread.any():
        yield 'is grey, and the net is of colours'
    if dataset in _OF_DRAWINGS:
        return
    if max(height, width) > _ASPECT * min(height, width):
        yield (f'is {width}x{height}, and the net sees it squeezed to '
               f'{wanted[1]}x{wanted[0]}')
    elif 2 * height < wanted[0] or 2 * width < wanted[1]:
        yield (f'is {width}x{height}, less than half of the '
               f'{wanted[1]}x{wanted[0]} that the net sees')


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
    scale = BOX / max(ink.shape)
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
            round(CENTRE - middle), 0, n - len(mass))))
    y[corner[0]:corner[0] + digit.shape[0],
      corner[1]:corner[1] + digit.shape[1]] = digit
    return y, 'scaled and centred'
