"""Random variants of training images, a batch at a time.

The images are NumPy or CuPy arrays and stay on their device. The draws are
made on the CPU by NumPy's global generator, whose state a snapshot keeps, so
that the same seed gives the same images everywhere.
"""
import sys

import numpy


def pad_crop_flip(images, pad=4, flip=True):
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
        flip (bool): If ``False``, none is mirrored.

    Returns:
        numpy.ndarray or cupy.ndarray: A new C-contiguous array of the shape
        and dtype of ``images``.
    """
    padded = _array_module(images).pad(
        images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return _crop_flip(padded, *images.shape[2:], flip)


def random_crop_flip(images, size):
    """Cuts a random window out of each image and mirrors one of two.

    Each window is equally likely, and it is flipped left to right with
    probability 1/2. Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet
    Classification with Deep Convolutional Neural Networks", 2012, section 4.1.

    Args:
        images (numpy.ndarray or cupy.ndarray): Shape ``(n, c, h, w)``, any
            dtype. They are left as they are.
        size (int): Height and width of the windows, at most ``h`` and ``w``.

    Returns:
        numpy.ndarray or cupy.ndarray: A new C-contiguous array of shape
        ``(n, c, size, size)`` and the dtype of ``images``.

    Raises:
        ValueError: The images are smaller.
    """
    _check_size(images, size)
    return _crop_flip(images, size, size)


def random_affine(images, degrees=10, scale=0.1, slant=0.1, shift=2):
    r"""Turns, stretches, slants and moves each image a little.

    A pixel at :math:`p`, counted from the middle of the image, is read at

    .. math::

        \begin{pmatrix} \cos a & -\sin a \\ \sin a & \cos a \end{pmatrix}
        \begin{pmatrix} 1 & k \\ 0 & 1 \end{pmatrix}
        \begin{pmatrix} s_x & 0 \\ 0 & s_y \end{pmatrix} p + d,

    between pixels by bilinear interpolation, outside of the image as 0. The
    numbers :math:`a`, :math:`k`, :math:`s_x - 1`, :math:`s_y - 1`,
    :math:`d_x` and :math:`d_y` are drawn for each image, each uniform from
    minus to plus its bound. Source: P. Simard, D. Steinkraus, J. Platt, "Best
    Practices for Convolutional Neural Networks Applied to Visual Document
    Analysis", 2003, section 2.

    Args:
        images (numpy.ndarray or cupy.ndarray): uint8, shape ``(n, c, h, w)``.
            They are left as they are.
        degrees (float): The bound of :math:`a`, in degrees.
        scale (float): The bound of :math:`s_x - 1` and :math:`s_y - 1`.
        slant (float): The bound of :math:`k`.
        shift (float): The bound of :math:`d_x` and :math:`d_y`, in pixels.

    Returns:
        numpy.ndarray or cupy.ndarray: A new array of the shape and dtype of
        ``images``, values rounded to the nearest.
    """
    xp = _array_module(images)
    n, c, h, w = images.shape
    draws = numpy.random.uniform(-1, 1, (6, n, 1, 1)).astype(numpy.float32)
    bounds = numpy.radians(degrees), slant, scale, scale, shift, shift
    angle, k, sx, sy, dx, dy = (
        draw * bound for draw, bound in zip(
            xp.asarray(draws), bounds, strict=True))
    x = xp.arange(w, dtype=numpy.float32) - (w - 1) / 2
    y = xp.arange(h, dtype=numpy.float32)[:, None] - (h - 1) / 2
    x, y = x * (1 + sx), y * (1 + sy)
    x = x + k * y
    cos, sin = xp.cos(angle), xp.sin(angle)
    return _sample(images, cos * x - sin * y + (w - 1) / 2 + dx,
                   sin * x + cos * y + (h - 1) / 2 + dy)


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


def _crop_flip(images, height, width, flip=True):
    n, _, h, w = images.shape
    tops, lefts = (numpy.random.randint(0, places, n)
                   for places in (h - height + 1, w - width + 1))
    flips = (numpy.random.randint(0, 2, n) * flip).astype(bool)
    if isinstance(images, numpy.ndarray):
        return _cut(images, height, width, tops, lefts, flips)
    return _gather(images, height, width, tops, lefts, flips)


def _cut(images, height, width, tops, lefts, flips):
    result = numpy.empty((*images.shape[:2], height, width), images.dtype)
    for target, image, top, left, flip in zip(
            result, images, tops, lefts, flips, strict=True):
        window = image[:, top:top + height, left:left + width]
        target[...] = window[:, :, ::-1] if flip else window
    return result


def _gather(images, height, width, tops, lefts, flips):
    # As _cut, in one kernel instead of one for each image
    xp = _array_module(images)
    n, c, h, w = images.shape
    rows = tops[:, None] + numpy.arange(height)
    columns = lefts[:, None] + numpy.arange(width)
    columns = numpy.where(flips[:, None], columns[:, ::-1], columns)
    planes = numpy.arange(n * c).reshape(n, c, 1, 1) * (h * w)
    return images.take(
        xp.asarray(planes) + xp.asarray(rows * w)[:, None, :, None]
        + xp.asarray(columns)[:, None, None, :])


def _sample(images, x, y):
    # Bilinear; x and y: (n, h, w), in pixels of the images
    xp = _array_module(images)
    n, c, h, w = images.shape
    # A border of zeros holds what lies outside.
    padded = xp.pad(images, ((0, 0), (0, 0), (1, 2), (1, 2)))
    x, y = xp.clip(x + 1, 0, w + 1), xp.clip(y + 1, 0, h + 1)
    left, top = x.astype(int), y.astype(int)
    x, y = ((place - whole).astype(numpy.float32)[:, None]
            for place, whole in ((x, left), (y, top)))
    row = w + 3
    corner = ((top * row + left)[:, None]
              + (xp.arange(n * c) * ((h + 3) * row)).reshape(n, c, 1, 1))
    upper, lower = (
        (1 - x) * padded.take(at) + x * padded.take(at + 1)
        for at in (corner, corner + row))
    return xp.rint((1 - y) * upper + y * lower).astype(images.dtype)
