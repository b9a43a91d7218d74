"""Random variants of training images, a batch at a time.

On the device of the images, NumPy or CuPy; the draws are always on the CPU,
so that the same random state gives the same images everywhere.
"""
import sys

import numpy


def pad_crop_flip(images, pad=4, random=numpy.random, flip=True):
    """Shifts each image by up to ``pad`` pixels and mirrors one of two.

    Each image is padded with zeros on its four sides, a window of the old size
    is cut out at random, and it is flipped left to right with probability 1/2;
    each of the :math:`2 (2 \\mathrm{pad} + 1)^2` outcomes is equally likely.
    Source: K. He et al., "Deep Residual Learning for Image Recognition", 2015,
    section 4.2.

    Args:
        images (numpy.ndarray or cupy.ndarray): Shape ``(n, c, h, w)``, any
            dtype. They are left as they are.
        pad (int): The width of the border, 0 or more.
        random (numpy.random.RandomState): Where the draws come from; NumPy's
            global state, which a snapshot keeps, unless given.
        flip (bool): If ``False``, none is mirrored.

    Returns:
        numpy.ndarray or cupy.ndarray: A new C-contiguous array of the shape
        and dtype of ``images``.

    """
    xp = _array_module(images)
    padded = xp.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return _crop_flip(padded, *images.shape[2:], random, flip)


def random_crop_flip(images, size, random=numpy.random):
    """Cuts a random window out of each image and mirrors one of two.

    Each window is equally likely, and it is flipped left to right with
    probability 1/2. Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet
    Classification with Deep Convolutional Neural Networks", 2012, section 4.1.

    Args:
        images (numpy.ndarray or cupy.ndarray): Shape ``(n, c, h, w)``, any
            dtype. They are left as they are.
        size (int): Height and width of the windows, at most ``h`` and ``w``.
        random (numpy.random.RandomState): As for :func:`pad_crop_flip`.

    Returns:
        numpy.ndarray or cupy.ndarray: A new C-contiguous array of shape
        ``(n, c, size, size)`` and the dtype of ``images``.

    Raises:
        ValueError: The images are smaller.

    """
    _check_size(images, size)
    return _crop_flip(images, size, size, random)


def center_crop(images, size):
    """Cuts the window in the middle out of each image.

    Args:
        images (numpy.ndarray or cupy.ndarray): Shape ``(n, c, h, w)``.
        size (int): Height and width of the window, at most ``h`` and ``w``.
            Where a margin is odd, the window is half a pixel towards the top
            or the left.

    Returns:
        numpy.ndarray or cupy.ndarray: A view, shape ``(n, c, size, size)``.

    Raises:
        ValueError: The images are smaller.

    """
    _check_size(images, size)
    top, left = ((side - size) // 2 for side in images.shape[2:])
    return images[:, :, top:top + size, left:left + size]


def _array_module(array):
    # 'numpy' or 'cupy'
    return sys.modules[type(array).__module__.partition('.')[0]]


def _check_size(images, size):
    h, w = images.shape[2:]
    if not 0 < size <= min(h, w):
        raise ValueError(f'no window of {size}x{size} in images of {h}x{w}')


def _crop_flip(images, height, width, random, flip=True):
    xp = _array_module(images)
    n, c, h, w = images.shape
    # Of the places of a window
    rows, columns = h - height + 1, w - width + 1
    tops, lefts = (
        xp.asarray(random.randint(0, places, n)) for places in (rows, columns))
    flips = xp.asarray(random.randint(0, 2, n) * flip).astype(bool)

    # A view of every window: (n, c, top, left, height, width)
    windows = xp.lib.stride_tricks.as_strided(
        images, (n, c, rows, columns, height, width),
        images.strides + images.strides[2:])
    cropped = windows[xp.arange(n), :, tops, lefts]
    return xp.where(flips[:, None, None, None], cropped[..., ::-1], cropped)
